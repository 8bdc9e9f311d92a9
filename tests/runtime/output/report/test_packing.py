import numpy as np
from hypothesis import given, settings
from tests.support.made_results import label_maps, made_windows

from samotion.runtime.output.report.packing import HIDDEN, PARTS, mask_runs, packed_tracks
from samotion.runtime.values import Labels


@given(label_maps())
@settings(max_examples=20, deadline=None)
def test_runs_are_the_ids_again(labels: Labels) -> None:
    for own in labels:
        runs = np.frombuffer(mask_runs(own), "<i4").reshape(-1, 2)
        np.testing.assert_array_equal(np.repeat(runs[:, 0], runs[:, 1]), own.ravel())
        assert (runs[1:, 0] != runs[:-1, 0]).all()


def test_tracks_keep_their_places_within_a_rounding() -> None:
    (window,) = made_windows(np.zeros((3, 20, 40), np.uint8))
    window.tracks.visible[0, 1] = False
    header, data = packed_tracks(window, first=2, size=(40, 80))
    assert (header.first, header.start, header.length, header.count, header.found) == (2, 0, 3, 1, 1)
    xy = np.frombuffer(data, "<i2", 6).reshape(3, 2)
    assert xy[1].tolist() == [HIDDEN, HIDDEN]
    np.testing.assert_allclose(xy[[0, 2]] / PARTS, 7, atol=1 / PARTS)  # pixel 3, twice as large
    assert abs(np.frombuffer(data, "<u2", offset=12)[0] / 65535 - 0.9) < 1e-4

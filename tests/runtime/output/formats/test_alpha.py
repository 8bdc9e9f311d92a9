import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from hypothesis import given, settings
from tests.support.made_results import label_maps, made_result, made_windows

from samotion.runtime.result import Result
from samotion.runtime.values import Bool, Labels

COLOUR_LOSS = 12  # of 255, on a smooth picture


def read(path: Path) -> tuple[Bool, list[float], list[av.VideoFrame]]:
    """Return the alpha of a video (T, H, W), where it is all or nothing, with the times and the frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    alphas = []
    for frame in frames:
        plane = frame.planes[3]
        values = np.frombuffer(bytes(plane), np.uint16).reshape(-1, plane.line_size // 2)[
            : frame.height, : frame.width
        ]
        assert set(np.unique(values)) <= {0, 4095}
        alphas.append(values > 0)
    return np.stack(alphas), [frame.time for frame in frames], frames


@settings(max_examples=8)
@given(label_maps())
def test_alpha_is_the_mask(labels: Labels) -> None:
    result = made_result(labels)
    with tempfile.TemporaryDirectory() as out:
        folder = result.save(out, overlay=False, formats=("alpha",)) / "alpha"
        alpha, times, frames = read(folder / "all.mov")
        np.testing.assert_array_equal(alpha, labels > 0)
        assert times == [index / 25 for index in range(len(labels))]
        shown = frames[-1].to_ndarray(format="rgb24").astype(int)
        seen = labels[-1] > 0
        assert abs(shown - result.windows[-1].clip.frames[-1])[seen].max(initial=0) <= COLOUR_LOSS
        assert len(list(folder.iterdir())) == 1 + len(result)
        for item, masks in zip(result.objects, result.masks, strict=True):
            alpha, _, _ = read(folder / f"object-{item.id}.mov")
            np.testing.assert_array_equal(alpha, masks[: len(alpha)])
            assert not masks[len(alpha) :].any()


def test_size_and_rate_are_the_source_s_also_with_frames_left_out(tmp_path: Path) -> None:
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[:, 4:9, 4:9] = 1
    result = Result(list(made_windows(labels, source=(41, 61), stride=3)), {})
    folder = result.save(tmp_path, overlay=False, formats=("alpha",))
    alpha, times, _ = read(folder / "alpha" / "object-1.mov")
    np.testing.assert_array_equal(alpha, result.masks[0])
    assert times == [0, 0.12, 0.24, 0.36]
    with av.open(str(folder / "alpha" / "all.mov")) as container:
        assert container.streams.video[0].average_rate == Fraction(25, 3)
        assert container.streams.video[0].codec_context.name == "prores"
        assert container.streams.video[0].codec_context.codec_tag == "ap4h"

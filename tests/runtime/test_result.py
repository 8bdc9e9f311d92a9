import sys

import numpy as np
import pytest
from hypothesis import given, settings
from tests.support.made_results import label_maps, made_result

import samotion
from samotion.runtime.values import Labels


@settings(max_examples=10)
@given(label_maps(most=20))
def test_detections_are_the_frame_s_masks(labels: Labels) -> None:
    result = made_result(labels)
    for frame, own in enumerate(labels):
        found = result.to_supervision(frame)
        ids = [int(identity) for identity in np.unique(own) if identity]
        assert found.tracker_id is not None
        assert found.tracker_id.tolist() == ids
        masks = np.array([own == identity for identity in ids], np.bool_).reshape(-1, *own.shape)
        np.testing.assert_array_equal(found.mask, masks)
        for box, mask in zip(found.xyxy, masks, strict=True):
            rows, columns = np.nonzero(mask)
            np.testing.assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert set(found.data["state"]) <= {"moving"}


def test_without_supervision_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(samotion.SamotionError, match=r"pip install 'samotion\[supervision\]'"):
        made_result(np.zeros((2, 20, 20), np.uint16)).to_supervision(0)

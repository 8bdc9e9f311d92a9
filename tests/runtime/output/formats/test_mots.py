import json
import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from pycocotools import mask as coco
from tests.support.made_results import label_maps, made_result
from trackeval.datasets import KittiMOTS

from samotion.runtime.values import Labels


def read_by_trackeval(folder: Path, frames: int) -> dict[str, list[object]]:
    """Return what TrackEval reads as ground truth of the sequence made."""
    root = folder / "trackeval"
    (root / "label_02").mkdir(parents=True)
    (root / "label_02" / "made.txt").write_bytes((folder / "mots" / "gt.txt").read_bytes())
    config = {"GT_FOLDER": str(root), "TRACKERS_FOLDER": str(root), "TRACKERS_TO_EVAL": [], "PRINT_CONFIG": False}
    dataset = KittiMOTS({**config, "SEQ_INFO": {"made": frames}})
    raw: dict[str, list[object]] = dataset._load_raw_file("", "made", is_gt=True)
    return raw


@settings(max_examples=10)
@given(label_maps())
def test_images_and_text_hold_the_masks(labels: Labels) -> None:
    result = made_result(labels)
    with tempfile.TemporaryDirectory() as out:
        folder = result.save(out, overlay=False, formats=("mots",))
        images = sorted((folder / "mots" / "default" / "instances").glob("*.png"))
        assert [path.name for path in images] == [f"{frame:05d}.png" for frame in range(len(labels))]
        values = np.stack([np.asarray(Image.open(path)) for path in images])
        assert (folder / "mots/default/instances/labels.txt").read_text() == "moving\n"
        raw = read_by_trackeval(folder, len(labels))
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, np.where(labels > 0, labels.astype(np.int64) + 1000, 0))
    for frame, (ids, masks) in enumerate(zip(raw["gt_ids"], raw["gt_dets"], strict=True)):
        read = np.zeros(labels.shape[1:], np.int64)
        for identity, mask in zip(ids, masks, strict=True):  # type: ignore[call-overload]
            read[coco.decode(mask) > 0] = identity
        np.testing.assert_array_equal(read, values[frame])


def test_what_is_beyond_its_ids_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = np.zeros((2, 20, 30), np.uint16)
    labels[:, 2:5, 2:5], labels[:, 7:9, 7:9], labels[1, 12:14, 2:9] = 999, 1000, 2500
    with caplog.at_level(logging.WARNING):
        folder = made_result(labels).save(tmp_path, overlay=False, formats=("mots",))
    assert [record.getMessage() for record in caplog.records] == [
        "mots holds ids below 1000: object 1000 and those after it are left out there"
    ]
    assert json.loads((folder / "result.json").read_text())["formats"]["mots"] == {"left_out": [1000, 2500]}
    assert np.unique(np.asarray(Image.open(folder / "mots/default/instances/00001.png"))).tolist() == [0, 1999]

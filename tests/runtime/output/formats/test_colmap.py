import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support.made_results import label_maps, made_result, made_windows

from samotion.runtime.result import Result
from samotion.runtime.values import Bool, Labels


def near(movers: Bool, reach: int) -> Bool:
    """Which pixels are at most ``reach`` from a mover."""
    if not movers.any():
        return movers
    away = cv2.distanceTransform((~movers).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= reach, np.bool_)


@settings(max_examples=10)
@given(label_maps(), st.integers(0, 4))
def test_movers_are_black_for_colmap_and_white_for_slam(labels: Labels, dilate: int) -> None:
    with tempfile.TemporaryDirectory() as out:
        folder = made_result(labels).save(out, overlay=False, formats=("colmap", "binary"), dilate=dilate)
        for frame, own in enumerate(labels):
            keep = np.asarray(Image.open(folder / "colmap" / "masks" / f"{frame:05d}.png.png"))
            move = np.asarray(Image.open(folder / "binary" / f"{frame:05d}.png"))
            assert keep.dtype == move.dtype == np.uint8
            np.testing.assert_array_equal(keep == 0, move == 255)
            assert set(np.unique(keep)) <= {0, 255}
            grown = near(own > 0, dilate)
            assert ((move > 0) >= (own > 0)).all()
            assert ((move > 0) == grown).mean() > (0.9 if dilate else 0.9999), "a disc of whole pixels"


def test_masks_bear_the_names_of_the_images(tmp_path: Path) -> None:
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[1] = 1
    # The second name is what the first frame's mask was called while it was written.
    names = ["a.JPG", "0.pending", "b.tar.png"]
    result = Result(list(made_windows(labels)), {"input": {"path": "made", "files": names}})
    folder = result.save(tmp_path, overlay=False, formats=("colmap", "mots"))
    masks = folder / "colmap" / "masks"
    assert sorted(path.name for path in masks.iterdir()) == sorted(f"{name}.png" for name in names)
    assert not np.asarray(Image.open(masks / "0.pending.png")).any()
    frames = json.loads((folder / "colmap" / "transforms.json").read_text())["frames"]
    assert [frame["file_path"] for frame in frames] == [f"images/{name}" for name in names]
    assert all((folder / "colmap" / frame["mask_path"]).is_file() for frame in frames)
    stems = sorted(path.name for path in (folder / "mots" / "default" / "instances").glob("*.png"))
    assert stems == ["0.png", "a.png", "b.tar.png"]

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from rerun.chunk import RrdReader
from tests.support.made_results import label_maps, made_result

from samotion.runtime.output.formats import rrd
from samotion.runtime.values import Labels


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a recording's entities, by frame."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chunk in RrdReader(path).stream():
        rows[chunk.entity_path].extend(chunk.to_record_batch().to_pylist())
    return {name: sorted(own, key=lambda row: row.get("frame") or 0) for name, own in rows.items()}


@settings(max_examples=5)
@given(label_maps())
def test_a_recording_holds_masks_frames_depth_and_tracks(labels: Labels) -> None:
    with tempfile.TemporaryDirectory() as out, patch.object(rrd, "PART", 2):
        folder = made_result(labels).save(out, overlay=False, formats=("rrd",))
        rows = read(folder / "recording.rrd")
    masks = rows["/video/masks"]
    assert [row["frame"] for row in masks] == list(range(len(labels)))
    for row, own in zip(masks, labels, strict=True):
        (layout,), (buffer,) = row["SegmentationImage:format"], row["SegmentationImage:buffer"]
        assert (layout["height"], layout["width"]) == own.shape
        wide = np.uint8 if len(buffer) == own.size else np.uint16
        np.testing.assert_array_equal(np.array(buffer, np.uint8).view(wide).reshape(own.shape), own)
    assert len(rows["/video/tracks"]) == len(labels)
    (point,) = rows["/video/tracks"][0]["Points2D:positions"]
    np.testing.assert_array_equal(point, [3.5, 3.5])
    frames = [row for row in rows["/video"] if row.get("EncodedImage:blob")]
    assert len(frames) == len(labels)
    assert len(rows["/depth"]) == len(labels)
    for number, row in enumerate(rows["/depth"]):
        (buffer,) = row["DepthImage:buffer"]
        assert bytes(buffer) == bytes(range(number, number + 40))


def test_the_same_result_is_the_same_recording(tmp_path: Path) -> None:
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1:, 5:9, 5:9] = 1
    folders = [made_result(labels).save(tmp_path / name, overlay=False, formats=("rrd",)) for name in ("a", "b")]
    first, second = (read(folder / "recording.rrd") for folder in folders)
    for own in (first, second):
        for rows in own.values():
            for row in rows:
                row.pop("rerun.controls.RowId")
    assert first == second

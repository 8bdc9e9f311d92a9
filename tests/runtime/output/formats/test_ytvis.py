import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from pycocotools import mask as coco
from tests.support.made_results import label_maps, made_result

from samotion.runtime.values import Labels


@settings(max_examples=10)
@given(label_maps())
def test_tracks_decode_to_the_masks(labels: Labels) -> None:
    result = made_result(labels)
    with tempfile.TemporaryDirectory() as out:
        folder = result.save(out, overlay=False, formats=("ytvis",))
        assert sorted(path.name for path in folder.iterdir()) == ["result.json", "tracks.npz", "ytvis.json"]
        content = json.loads(Path(folder, "ytvis.json").read_text())
    count, height, width = labels.shape
    (video,) = content["videos"]
    assert (video["height"], video["width"], video["length"]) == (height, width, count)
    assert video["file_names"] == [f"made/{frame:05d}.png" for frame in range(count)]
    assert [track["id"] for track in content["annotations"]] == [item.id for item in result.objects]
    for track, item, masks in zip(content["annotations"], result.objects, result.masks, strict=True):
        decoded = [np.zeros((height, width)) if rle is None else coco.decode(rle) for rle in track["segmentations"]]
        np.testing.assert_array_equal(decoded, masks)
        boxes = [coco.toBbox(rle).tolist() for rle in track["segmentations"] if rle]
        assert [box for box in track["bboxes"] if box] == boxes
        assert [area for area in track["areas"] if area] == item.areas.tolist()
        assert [bool(box) for box in track["bboxes"]] == [area is not None for area in track["areas"]]
        states = [name for name, frames in track["states"] for _ in range(frames)]
        assert states == list(item.state[: len(states)])
        assert track["score"] == item.score == 0.75

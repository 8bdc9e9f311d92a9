"""Writing of a result: masks, overlay, tracks and facts of one input, all of it or nothing."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from samotion.runtime.overlay import write_overlay
from samotion.runtime.palette import davis_palette
from samotion.runtime.staging import RECORD, staged
from samotion.runtime.values import Bool, Bytes, Clip, Result
from samotion.runtime.version import PROGRAM, version


def write_result(result: Result, out: Path, about: dict[str, Any], overlay: bool = True) -> Path:
    """Write OUT/<clip name> and return it; an earlier result of the same name is replaced once this is whole.

    masks/NNNNN.png: one per processed frame, numbered by source frame, source size, indexed, 0 background.
    overlay.mp4: at the size of the processed frames. tracks.npz: xy in pixels of the processed frames.
    result.json: ``about`` plus what was found; boxes are [x0, y0, x1, y1] with x1, y1 exclusive, areas count
    pixels, both at source size, null and 0 where an object is not seen. Raises OutputError.
    """
    clip = result.clip
    with staged(out, clip.name) as folder:
        (folder / "masks").mkdir()
        objects = _write_masks(folder / "masks", result)
        if overlay:
            write_overlay(folder / "overlay.mp4", clip, lambda t: label_map(result, t))
        np.savez_compressed(
            folder / "tracks.npz",
            xy=result.tracks.xy,
            visible=result.tracks.visible,
            confidence=result.tracks.confidence,
            probability=result.labels.probability,
            dynamic=result.labels.dynamic,
            query_frame=result.tracks.query_frame,
        )
        record = {
            "program": PROGRAM,
            "version": version(),
            **about,
            "message": summary(result),
            "input": {**about.get("input", {}), **_clip_facts(clip)},
            "objects": objects,
            "seconds": {stage: round(seconds, 4) for stage, seconds in result.seconds.items()},
        }
        (folder / RECORD).write_text(_dump(record), encoding="utf-8")
    return out / clip.name


def label_map(result: Result, index: int) -> Bytes:
    """Return (H, W) uint8 ids of one frame at its own size: 0 background, k+1 object k, lower ids on top."""
    masks = result.masks.values
    labels = np.zeros(masks.shape[2:], np.uint8)
    for k in reversed(range(len(masks))):
        labels[masks[k, index]] = k + 1
    return labels


def summary(result: Result) -> str:
    """Return in words what was found."""
    count, frames = len(result.masks.values), len(result.clip.frames)
    if count:
        return f"{count} moving object{'s' if count > 1 else ''} in {frames} frames"
    if frames == 1:
        return "1 frame: nothing can be said to move"
    return f"nothing moves in {frames} frames"


def _dump(record: dict[str, Any]) -> str:
    """Return JSON with one top-level key a line: one number a line would make it unreadable."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _write_masks(folder: Path, result: Result) -> list[dict[str, Any]]:
    """Write one indexed PNG a frame and return the facts of each object."""
    clip, count = result.clip, len(result.masks.values)
    areas: list[list[int]] = [[] for _ in range(count)]
    boxes: list[list[list[int] | None]] = [[] for _ in range(count)]
    palette = davis_palette().tobytes()
    for t, source in enumerate(clip.source_index):
        labels = label_map(result, t)
        if labels.shape != clip.source_size:
            size = clip.source_size[::-1]
            labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        image = Image.fromarray(labels)
        image.putpalette(palette)
        image.save(folder / f"{source:05d}.png", compress_level=3)  # flat areas: a third of the time
        for k in range(count):
            area, box = _extent(labels == k + 1)
            areas[k].append(area)
            boxes[k].append(box)
    return [_object_facts(k + 1, clip, areas[k], boxes[k]) for k in range(count)]


def _extent(mask: Bool) -> tuple[int, list[int] | None]:
    """Return the area of a mask (H, W) and its box [x0, y0, x1, y1), None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, None
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    return int(np.count_nonzero(mask)), box


def _object_facts(identity: int, clip: Clip, areas: list[int], boxes: list[list[int] | None]) -> dict[str, Any]:
    seen = [int(source) for source, area in zip(clip.source_index, areas, strict=True) if area]
    first, last = (seen[0], seen[-1]) if seen else (None, None)
    return {"id": identity, "first_frame": first, "last_frame": last, "area": areas, "boxes": boxes}


def _clip_facts(clip: Clip) -> dict[str, Any]:
    return {
        "name": clip.name,
        "fps": float(clip.fps),
        "source_size": {"width": clip.source_size[1], "height": clip.source_size[0]},
        "frame_size": {"width": clip.size[1], "height": clip.size[0]},
        "source_frames": clip.source_count,
        "frames": clip.source_index.tolist(),
        "times": clip.times.round(6).tolist(),
    }

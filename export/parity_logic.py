"""The parity cases that are no network: the published steps between them."""

from collections.abc import Callable, Iterator

import numpy as np

from samotion.export.parity_cases import Arrays
from samotion.runtime.grouping import group_tracks
from samotion.runtime.merging import merge_groups
from samotion.runtime.values import Bool, Float

# Pixels of the disc with which the case's stand-in for SAM2 answers a click on background.
DISC = 3

Checks = Iterator[tuple[str, int, str]]


def _grouping(case: Arrays) -> Checks:
    """Yield (array, 0 or 1 for right or wrong, note) of stage 1 and of merging."""
    asked: list[tuple[float, ...]] = []

    def segment(frame: int, click: Float) -> Bool:
        asked.append((frame, *click.tolist()))
        labels = case["labels"][frame]
        if label := labels[int(click[1]), int(click[0])]:
            return np.asarray(labels == label)
        y, x = np.indices(labels.shape)
        return np.asarray(np.hypot(x - click[0], y - click[1]) <= DISC)

    groups = group_tracks(case["xy"].transpose(1, 2, 0), case["visible"], segment)
    tracks = np.array([group.tracks for group in groups]).reshape(len(groups), -1)
    merged = merge_groups(np.ascontiguousarray(case["merge_masks"].transpose(1, 0, 2, 3)))
    wanted = case["merge_group"]
    found = {
        "object_frame": np.array_equal([group.prompt.frame for group in groups], case["object_frame"]),
        "object_tracks": np.array_equal(tracks, case["object_tracks"]),
        "prompts": np.array_equal(np.array(asked), case["prompts"]),
        "merge_group": np.array_equal(merged[:, None] == merged, wanted[:, None] == wanted),
    }
    for array, right in found.items():
        yield array, int(not right), "exact"


def _metrics(case: Arrays) -> Checks:
    """Yield that this case is another program's."""
    yield f"({len(case)} arrays)", 0, "no network: checked where samotion.benchmarks is tested"


LOGIC: dict[str, Callable[[Arrays], Checks]] = {"grouping": _grouping, "metrics": _metrics}

"""The parity cases that are no network: the published steps between them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from samotion.engines.errors import InputError
from samotion.export.parity.parts import Array, Arrays, taken
from samotion.runtime.stages.grouping import group_tracks
from samotion.runtime.stages.merging import merge_groups
from samotion.runtime.values import Bool, Float

# Pixels of the disc with which the case's stand-in for SAM2 answers a click on background.
DISC = 3

# (array, 0 or 1 for right or wrong, None for not compared, note)
Checks = Iterator[tuple[str, int | None, str]]


def _grouping(case: Arrays) -> Checks:
    """Yield checks of stage 1 and of merging."""
    for name in ("object_frame", "object_tracks", "prompts"):
        if name not in case:
            raise InputError(f"array {name} is missing")
    shapes = {"labels": ("T", "H", "W"), "visible": ("N", "T"), "merge_masks": ("t", "m", "h", "w")}
    given = taken(case, xy=(2, "N", "T"), merge_group=("m",), **shapes)
    asked: list[tuple[float, ...]] = []

    def segment(frame: int, click: Float) -> Bool:
        asked.append((frame, *click.tolist()))
        labels = given["labels"][frame]
        height, width = labels.shape
        row, column = np.clip(int(click[1]), 0, height - 1), np.clip(int(click[0]), 0, width - 1)
        if label := labels[row, column]:
            return np.asarray(labels == label)
        y, x = np.indices(labels.shape)
        return np.asarray(np.hypot(x - click[0], y - click[1]) <= DISC)

    groups = group_tracks(given["xy"].transpose(1, 2, 0), given["visible"] > 0, segment)
    merged = merge_groups(np.ascontiguousarray(given["merge_masks"].transpose(1, 0, 2, 3)) > 0)
    wanted = given["merge_group"]
    found = {
        "object_frame": _same([group.prompt.frame for group in groups], case["object_frame"]),
        "object_tracks": _same([group.tracks for group in groups], case["object_tracks"]),
        "prompts": _same(asked, case["prompts"]),
        "merge_group": np.array_equal(merged[:, None] == merged, wanted[:, None] == wanted),
    }
    for array, right in found.items():
        yield array, int(not right), "exact"


def _same(found: Sequence[object], wanted: Array) -> bool:
    """Return whether a list is the same as an array; nothing is the same as nothing, whatever its shape."""
    return np.array_equal(np.array(found), wanted) if len(found) else wanted.size == 0


def _metrics(case: Arrays) -> Checks:
    """Yield that this case is another program's: the measures stand above this package."""
    yield f"({len(case)} arrays)", None, "no network, not compared: see samotion.benchmarks"


LOGIC: dict[str, Callable[[Arrays], Checks]] = {"grouping": _grouping, "metrics": _metrics}

"""Optimisation profiles: the least, best and largest length of every axis that a graph leaves free.

Axes go by the names that the manifest's tensor specs give them. "Best" is what kernels are chosen for: what the
runtime sends by default. A plan refuses lengths outside; memory at run time follows the shapes really sent.
"""

from collections.abc import Mapping
from math import ceil

from samotion.engines.engine import TensorSpec
from samotion.engines.errors import EngineError
from samotion.engines.manifest import Manifest, Shape

Range = tuple[int, int, int]
Profile = dict[str, tuple[Shape, Shape, Shape]]

ASPECT = 2.4  # of the widest frames, cinema's 2.39:1, and of the tallest
LONGEST = 1000  # pixels that frames are shrunk to where nothing else is set, as published
MOST_CLICKED = 16  # clicked frames that an object's memory holds where the network reads all: one in 16 of 256

FIXED: Mapping[str, Range] = {
    "B": (1, 2, 8),  # images in a batch
    "T": (1, 120, 128),  # frames of a window
    "N": (1, 16, 128),  # points followed together
    "H": (16, 480, 3840),  # the processed frame
    "W": (16, 854, 3840),
    "F": (1, 1, 16),  # frames whose features are given: one for all objects, or one for each
    "K": (1, 4, 16),  # objects
}


def ranges(manifest: Manifest, graph: str) -> dict[str, Range]:
    """Return the least, best and largest length of each free axis of ``graph`` in this bundle."""
    masks = manifest.masks
    clicked = masks.max_clicked or MOST_CLICKED
    clicks = int(manifest.settings.get("clicks", 1)) + int(manifest.settings.get("background_clicks", 0))
    found = {
        **FIXED,
        "P": (1, clicks, max(clicks, 64)),  # clicks on an object; one, padding, on a frame that is tracked
        "M": (1, masks.memory_frames, clicked + masks.memory_frames - 1),  # slots of an object's memory
        "L": (1, masks.pointers, clicked + masks.pointers - 1),  # object pointers
    }
    if graph == "track_features":
        found["T"] = FIXED["B"]
    if graph == "motion":  # all tracks of a window at once
        most = int(manifest.settings.get("max_tracks", 5000))
        found["N"] = (1, most, max(most, 5000))
        least, window, longest = FIXED["T"]
        found["T"] = (least, int(manifest.settings.get("motion_frames", window)), longest)
    if graph == "depth":
        side, multiple = manifest.depth.size, manifest.depth.multiple
        least, most = _up(side / ASPECT - multiple, multiple), _up(side * ASPECT, multiple)
        found |= {"h": (least, side, most), "w": (least, _up(side * 16 / 9 - multiple / 2, multiple), most)}
    if graph == "semantics":
        multiple, longest = manifest.semantics.multiple, manifest.semantics.longest_side or LONGEST
        least, most = 2 * multiple, _up(longest, multiple)
        found |= {"h": (least, _up(longest * 9 / 16, multiple), most), "w": (least, most, most)}
        found["B"] = (1, 1, 8)  # query frames come one by one
    return found


def profile(manifest: Manifest, graph: str) -> Profile:
    """Return the least, best and largest shape of each input of ``graph``; raises EngineError for an unknown axis."""
    lengths = ranges(manifest, graph)
    return {spec.name: _shapes(spec, lengths, graph) for spec in manifest.graphs[graph].inputs}


def _shapes(spec: TensorSpec, lengths: Mapping[str, Range], graph: str) -> tuple[Shape, Shape, Shape]:
    """Return one input's three shapes."""
    if unknown := [axis for axis in spec.shape if isinstance(axis, str) and axis not in lengths]:
        raise EngineError(
            f"{graph}: axis {unknown[0]} of input {spec.name} has no range for a plan; known are {', '.join(lengths)}"
        )
    each = [lengths[axis] if isinstance(axis, str) else (axis, axis, axis) for axis in spec.shape]
    least, best, most = (tuple(length[i] for length in each) for i in range(3))
    return least, best, most


def _up(pixels: float, multiple: int) -> int:
    """Return the next multiple at or above ``pixels``, at least one."""
    return max(1, ceil(pixels / multiple)) * multiple

"""How long a window may be in a stated amount of memory."""

import math
from dataclasses import dataclass

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SettingsError
from samotion.runtime.settings import Settings

# What a window needs, as a process on Linux with the CPU provider was seen to need at most: measured with nano on
# 854×480, 640×360 and 427×240, windows of 30 to 240 frames; see fit() for the terms.
BASE = 300 * 2**20  # Python, its libraries, ONNX Runtime
WEIGHTS = 2.0  # of the graphs' size on disk: read, and once more in the kernels' own layout
MAPS = 3.0  # of the feature maps that are kept of each frame: joined to one array, and as input of an engine
PIXEL = 40  # bytes a pixel and frame: frames read ahead, worked on and written, disparity, masks
FRAME = 8 * 2**20  # a frame: what engines need for the points on it


@dataclass(frozen=True)
class Fit:
    """A window of ``window`` frames, estimated to need ``estimate`` of the ``budget`` bytes; line: in words."""

    budget: int
    window: int
    estimate: int
    line: str


def fit(budget: int, frame: tuple[int, int], bundle: Bundle, settings: Settings) -> Fit:
    """Return the longest window, up to that of ``settings``, that fits in ``budget`` bytes.

    frame: (height, width) of the processed frames. Raises SettingsError where not even the shortest one fits.
    """
    base, each = fixed(bundle), a_frame(frame, bundle)
    shortest = 2 * settings.overlap
    longest = math.floor((budget - base) / each)
    size = f"{frame[1]}×{frame[0]} with {bundle.name}"
    if longest < shortest:
        need = base + shortest * each
        raise SettingsError(
            f"memory {_gib(budget)} is too little: the shortest window, {shortest} frames of {size}, is estimated to "
            f"need {_gib(need)}; give more, or a smaller --max-side or --overlap"
        )
    window = min(longest, settings.window or longest)
    estimate = int(base + window * each)
    kept = "as set" if window == settings.window else f"instead of {settings.window or 'all frames at once'}"
    line = f"windows of {window} frames, {kept}: {size} is estimated to need {_gib(estimate)} of {_gib(budget)}"
    return Fit(budget, window, estimate, line)


def fixed(bundle: Bundle) -> int:
    """Return the bytes that a process needs whatever the window."""
    graphs = bundle.manifest.graphs.values()
    stored = sum((bundle.folder / file).stat().st_size for graph in graphs for file in graph.sha256)
    return int(BASE + WEIGHTS * stored)


def a_frame(frame: tuple[int, int], bundle: Bundle) -> int:
    """Return the bytes that each frame of a window needs."""
    maps = 0
    for name in ("track_features", "mask_encoder"):
        for output in bundle.manifest.graphs[name].outputs:
            maps += 4 * math.prod(size for size in output.shape if isinstance(size, int))
    return int(FRAME + PIXEL * frame[0] * frame[1] + MAPS * maps)


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"

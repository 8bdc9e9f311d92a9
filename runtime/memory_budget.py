"""How long a window may be in a stated amount of memory."""

import bisect
import math
from dataclasses import dataclass

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SettingsError
from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import MOST_SCORES, attention_scores

DEFAULT = 16 * 10**9  # bytes, where nothing is set: fits a computer of 16 GiB and a GPU of 16 GB
# What a window needs, as a process on Linux with the CPU provider was seen to need at most: measured with nano on
# 854×480, 640×360 and 427×240, windows of 30 to 240 frames; see fit() for the terms.
BASE = 300 * 2**20  # Python, its libraries, ONNX Runtime
WEIGHTS = 2.0  # of the graphs' size on disk: read, and once more in the kernels' own layout
MAPS = 3.0  # of the feature maps that are kept of each frame: joined to one array, and as input of an engine
PIXEL = 40  # bytes a pixel and frame: frames read ahead, worked on and written, disparity, masks
FRAME = 8 * 2**20  # a frame: what engines need for the points on it
SCORE = 8  # bytes an attention score of the motion network, one head at a time: itself and its softmax
TRACK = 1024  # bytes a track and frame in the motion network: its channels, encoded and on their way
LONGEST, MUCH = 10**6, 2**63  # frames, bytes: more than any window, any memory


@dataclass(frozen=True)
class Fit:
    """A window of ``window`` frames (None: all at once), estimated to need ``estimate`` of the ``budget`` bytes.

    line: in words.
    """

    budget: int
    window: int | None
    estimate: int
    line: str


def fit(budget: int, frame: tuple[int, int], bundle: Bundle, settings: Settings) -> Fit:
    """Return the longest window, up to that of ``settings``, that fits in ``budget`` bytes.

    frame: (height, width) of the processed frames. Raises SettingsError where not even the shortest one fits.
    """
    base, each = fixed(bundle), a_frame(frame, bundle)

    def need(window: int) -> int:
        seen = min(window, settings.motion_frames or window)
        if attention_scores(settings.max_tracks, seen) > MOST_SCORES:
            return MUCH
        return base + window * each + motion(settings.max_tracks, seen)

    shortest = 2 * settings.overlap
    longest = bisect.bisect_right(range(LONGEST), budget, key=need) - 1
    size = f"{frame[1]}×{frame[0]} with {bundle.name}"
    if longest < shortest:
        raise SettingsError(
            f"memory {_gib(budget)} is too little: the shortest window, {shortest} frames of {size}, is estimated to "
            f"need {_gib(need(shortest))}",
            "give more by --memory, or a smaller --max-side, --max-tracks or --overlap",
        )
    wanted = settings.window or settings.max_frames or LONGEST
    frames = min(longest, wanted)
    window = settings.window if frames == wanted else frames
    kept = "as set" if window == settings.window else f"instead of {settings.window or 'all frames at once'}"
    estimate = int(need(frames))
    line = f"windows of {frames} frames, {kept}: {size} is estimated to need {_gib(estimate)} of {_gib(budget)}"
    return Fit(budget, window, estimate, line)


def motion(tracks: int, frames: int) -> int:
    """Return the bytes that the motion network needs for so many tracks, seen in so many frames at once."""
    return SCORE * attention_scores(tracks, frames) + TRACK * tracks * frames


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

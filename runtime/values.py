"""The values that pass between stages, each checked once where it is made.

T frames of H×W pixels, N tracks, Q query frames, K objects. Coordinates are (x, y) in pixels of the frames
given to the pipeline, (0, 0) being the centre of the top left pixel.
"""

from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Float = NDArray[np.float32]
Int = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Labels = NDArray[np.uint8] | NDArray[np.uint16]  # object ids, 0 background; 16 bits where an id is above 255


def _expect(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...], dtype: type) -> None:
    """Raise ValueError unless ``array`` has ``dtype`` and ``shape`` (None: any length)."""
    fits = len(array.shape) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(f"{name}: found {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")


@dataclass
class Playback:
    """How a source plays, as far as it is known by now.

    aspect: width of a pixel over its height, upright. audio: the file whose sound belongs to the frames, None for
    none. start: seconds at which the source states the first frame, None where it does not. end: seconds from the
    first frame to the end of the last, None until that is read.
    """

    aspect: Fraction = Fraction(1)
    audio: Path | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Clip:
    """Decoded frames of one input.

    frames: (T, H, W, 3) uint8, RGB, upright. fps: frames a second of the source. source_size: (height, width)
    before any resize; masks are written at this size. source_index: (T,) int64, the source frame that each
    frame is. source_count: how many frames the source has. times: (T,) float64, seconds from the first source
    frame. name: stem for output.
    """

    name: str
    frames: Bytes
    fps: Fraction
    source_size: tuple[int, int]
    source_index: Int
    source_count: int
    times: NDArray[np.float64]

    def __post_init__(self) -> None:
        _expect("frames", self.frames, (None, None, None, 3), np.uint8)
        _expect("source_index", self.source_index, (len(self.frames),), np.int64)
        _expect("times", self.times, (len(self.frames),), np.float64)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.frames.shape[1], self.frames.shape[2]

    def part(self, frames: slice) -> "Clip":
        """Return the clip of some of the frames."""
        index, times = self.source_index[frames], self.times[frames]
        return Clip(self.name, self.frames[frames], self.fps, self.source_size, index, self.source_count, times)


@dataclass(frozen=True)
class Tracks:
    """Long-range point tracks after filtering.

    xy: (N, T, 2) float32 pixels. visible: (N, T) bool. visibility, confidence: (N, T) float32 in [0, 1].
    query_frame: (N,) int64, the frame each track was asked on.
    """

    xy: Float
    visible: Bool
    visibility: Float
    confidence: Float
    query_frame: Int

    def __post_init__(self) -> None:
        n, t = self.visible.shape
        _expect("xy", self.xy, (n, t, 2), np.float32)
        _expect("visible", self.visible, (n, t), np.bool_)
        _expect("visibility", self.visibility, (n, t), np.float32)
        _expect("confidence", self.confidence, (n, t), np.float32)
        _expect("query_frame", self.query_frame, (n,), np.int64)

    def select(self, chosen: NDArray[np.bool_] | Int) -> "Tracks":
        """Return the tracks that a boolean mask (N,) or an index array names."""
        return Tracks(
            self.xy[chosen],
            self.visible[chosen],
            self.visibility[chosen],
            self.confidence[chosen],
            self.query_frame[chosen],
        )


@dataclass(frozen=True)
class MotionLabels:
    """Which tracks move by themselves: probability (N,) float32; dynamic (N,) bool, the tracks chosen."""

    probability: Float
    dynamic: Bool

    def __post_init__(self) -> None:
        _expect("probability", self.probability, (None,), np.float32)
        _expect("dynamic", self.dynamic, self.probability.shape, np.bool_)


@dataclass(frozen=True)
class Votes:
    """What points on one frame say of an object: xy (P, 2) float32 pixels; weight (P,) float32, −1 (no part) to 1."""

    xy: Float
    weight: Float


@dataclass(frozen=True)
class Prompt:
    """Clicks on one frame: xy (P, 2) float32 pixels; positive (P,) bool, False for a click on background.

    votes: what else is known of where the object is, None for nothing.
    """

    frame: int
    xy: Float
    positive: Bool
    votes: Votes | None = None


@dataclass(frozen=True)
class TrackGroup:
    """One object found in stage 1: the prompt that found it and its tracks (N,) bool of all dynamic ones."""

    prompt: Prompt
    tracks: Bool


@dataclass(frozen=True)
class ObjectMasks:
    """Where each object is: values (K, T, H, W) bool; object 0 wins where masks overlap."""

    values: Bool

    def __post_init__(self) -> None:
        _expect("masks", self.values, (None, None, None, None), np.bool_)


class State(IntEnum):
    """What an object does on a frame.

    MOVING: it is seen and moves against the camera's motion. STILL: it is seen and does not. HIDDEN: it is not seen,
    but it is again later, or its points go on inside the image. LOST: it is not seen, and nothing shows it is there.
    """

    LOST = 0
    HIDDEN = 1
    STILL = 2
    MOVING = 3


@dataclass(frozen=True)
class ClipResult:
    """What the pipeline found in one clip: seconds maps a stage's name to the time it took."""

    clip: Clip
    tracks: Tracks
    labels: MotionLabels
    masks: ObjectMasks
    seconds: dict[str, float]


@dataclass(frozen=True)
class WindowResult:
    """What one window of an input adds: its frames that no window before had, and where each object is in them.

    clip: those frames; source_count is how many source frames were read by then. identities: (K,) int64 from 1
    up, ascending, those of masks; an object keeps its own through all windows. scores: (K,) float32, how probably the
    points inside each object move by themselves, 0 where there is none. states: (K, T) uint8 of State, what each
    object does on each frame, as far as this window tells. tracks, labels: of the whole window, whose first frame is
    number ``start`` of all frames kept. seconds: by stage. arrived: when the first of the frames was read, on
    time.monotonic's clock. depth: (T, h, w) uint8, a small map of each frame, 0 for its farthest place and 255 for
    its nearest; None where none was estimated, as of a single frame.
    """

    clip: Clip
    identities: Int
    masks: ObjectMasks
    scores: Float
    states: Bytes
    tracks: Tracks
    labels: MotionLabels
    start: int
    seconds: dict[str, float]
    arrived: float
    depth: Bytes | None = None

    def __post_init__(self) -> None:
        _expect("identities", self.identities, (len(self.masks.values),), np.int64)
        _expect("states", self.states, self.masks.values.shape[:2], np.uint8)
        if self.depth is not None:
            _expect("depth", self.depth, (len(self.clip.frames), None, None), np.uint8)

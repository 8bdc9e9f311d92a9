"""What stages ask of the place where their arrays are: the host (numpy_ops) or a GPU (cuda_ops).

There is one stage code. It names what it wants done, and hands on what it gets: ``Held``. Small arrays that the host
makes may be given to ``run`` as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from samotion.engines.engine import Array, Engine
from samotion.runtime.kernels.resizing import Network, ResizeSet
from samotion.runtime.values import Bool, Clip, Float, Int, Tracks


class Held(Protocol):
    """An array where Arrays keeps it: NumPy's on the host, engines.device.DeviceArray on a GPU."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, rows: int | slice, /) -> Any:
        """Return a part along the first axis, without a copy."""

    @property
    def reshape(self) -> Callable[..., Any]:
        """What returns the same numbers in another shape, without a copy."""


class Canvas(Protocol):
    """Masks (K, T, H, W) of a clip's objects, empty where nothing is drawn."""

    def draw(self, k: int, frame: int, logits: Held) -> None:
        """Draw object ``k`` on ``frame`` from its logits (h, w), holes filled; several threads may, elsewhere."""

    def masks(self) -> Bool:
        """Return all masks, on the host."""


class Easel(Protocol):
    """Makes masks of the size of one clip's frames."""

    def mask(self, frame: int, logits: Held) -> Bool:
        """Return logits (h, w) as a mask (H, W), on the host."""

    def canvas(self, objects: int) -> Canvas:
        """Return an empty canvas."""


class Arrays(Protocol):
    """One place for arrays. Shapes: B images, N tracks over T frames, K objects, frames of H×W pixels."""

    steady: bool  # shapes that could change from frame to frame are padded, so that they do not

    def run(self, engine: Engine, **inputs: Held) -> Mapping[str, Held]:
        """Return an engine's answers, left where they are."""

    def images(self, clip: Clip, part: slice, network: Network, size: tuple[int, int], resize: ResizeSet) -> Held:
        """Return some of the clip's frames as a network's input (B, 3, h, w) of ``size``."""

    def up(self, array: Array) -> Held:
        """Return a host array's values there."""

    def down(self, array: Held) -> Any:
        """Return values on the host."""

    def down_tracks(self, tracks: Tracks) -> Tracks:
        """Return tracks on the host."""

    def empty(self, network: Network, shape: tuple[int, ...]) -> Held:
        """Return float32 that the steps behind ``network`` will write to."""

    def zeros(self, shape: tuple[int, ...]) -> Held:
        """Return float32 zeros, which nobody may write to."""

    def joined(self, parts: Sequence[Held]) -> Held:
        """Return arrays one after the other along the first axis."""

    def padded(self, rows: Sequence[Sequence[Held]], shape: tuple[int, ...]) -> Held:
        """Return the rows of K objects as (K, *shape): see reference.padded."""

    def in_frame(self, xy: Held, queries: Int | Float, scale: Float) -> None:
        """Bring tracks (N, T, 2) in place to the frame's pixels: see reference.in_frame."""

    def filtered(self, xy: Held, occlusion: Held, expected_distance: Held, query_frame: Int) -> Tracks:
        """Return the tracks, of Held, that are ever visible: see visibility.filter_tracks."""

    def every(self, array: Held, first: int, pace: int) -> Held:
        """Return every ``pace``-th frame, from ``first`` on, of what tracks have on each (N, T, …)."""

    def normalised_xy(self, xy: Held, frame: tuple[int, int]) -> Held:
        """Return pixels (N, T, 2) in [-1, 1]: see reference.normalised_xy."""

    def unit_disparity(self, found: Held, out: Held) -> None:
        """Enlarge maps (B, h, w) to ``out`` (B, H, W), each from 0 to 1: see reference.unit_disparity."""

    def sample(self, grid: Held, tracks: Tracks, frame: int, size: tuple[int, int], out: Held) -> None:
        """Fill the rows of ``out`` (N, C) whose tracks were asked on ``frame`` from its grid (h, w, C)."""

    def filled(self, logits: Held) -> Held:
        """Return masks (K, h, w) of logits with their small holes filled: see reference.fill_holes."""

    def easel(self, clip: Clip, follow_edges: bool) -> Easel:
        """Return what makes masks of the size of the clip's frames."""

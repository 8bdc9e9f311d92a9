"""Clips in which nothing moves, made of photographs: under a camera that moves, or frozen and poorly recorded."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.runtime.values import Bytes, Float

SIZE = (240, 427)
FRAMES = 36
SPARE = 1.3  # how much larger than the frame a photograph is kept, for the camera to move over
Rng = np.random.Generator
Path = NDArray[np.float64]  # (T, 6): shift x and y, log zoom, roll, perspective x and y
NOTHING = np.zeros((FRAMES, 6))


def _steady(*ends: float) -> Path:
    """Return the way from nothing to ``ends``: pixels, log zoom, radians, perspective a pixel."""
    return np.outer(np.linspace(0, 1, FRAMES), [*ends, *(6 - len(ends)) * [0.0]])


def _hand(rng: Rng) -> Path:
    """Return a camera held by hand: it drifts, sways and trembles."""
    size = np.array([12, 9, 0.03, 0.02, 4e-5, 4e-5])
    drift = np.cumsum(rng.normal(0, 1, (FRAMES, 6)), 0) / np.sqrt(FRAMES)
    return np.asarray(cv2.GaussianBlur(drift + 0.3 * rng.normal(0, 1, (FRAMES, 6)), (1, 0), 0, sigmaY=1.0) * size)


CAMERAS: Mapping[str, Callable[[Rng], Path]] = {
    "pan": lambda rng: _steady(rng.choice((-1, 1)) * rng.uniform(35, 60), rng.uniform(-6, 6)),
    "zoom": lambda rng: _steady(0, 0, rng.uniform(0.15, 0.3)),
    "roll": lambda rng: _steady(0, 0, 0, rng.choice((-1, 1)) * rng.uniform(0.08, 0.15)),
    "tilt": lambda rng: _steady(0, rng.choice((-1, 1)) * rng.uniform(15, 30), 0, 0, 0, rng.uniform(-4e-4, 4e-4)),
    "hand": _hand,
}


def _noisy(rng: Rng, frame: Float) -> Bytes:
    return np.asarray((frame + rng.normal(0, 6, frame.shape)).clip(0, 255), np.uint8)


def _compressed(rng: Rng, frame: Float) -> Bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 40))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", frame.astype(np.uint8), quality)[1], cv2.IMREAD_COLOR))


def _flickering(rng: Rng, frame: Float) -> Bytes:
    return np.asarray((frame * rng.uniform(0.88, 1.12)).clip(0, 255), np.uint8)


RECORDINGS: Mapping[str, Callable[[Rng, Float], Bytes]] = {
    "noise": _noisy,
    "compression": _compressed,
    "flicker": _flickering,
}
KINDS = (*CAMERAS, *RECORDINGS)


def still_frames(photograph: Bytes, kind: str, seed: int) -> Bytes:
    """Return frames (FRAMES, *SIZE, 3) uint8 RGB of a photograph (h, w, 3) uint8 RGB, in which nothing moves.

    kind: of CAMERAS, the photograph is seen by such a camera; of RECORDINGS, one view of it is repeated and
    recorded so. The same photograph, kind and seed give the same frames.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    path = CAMERAS[kind](rng) if kind in CAMERAS else NOTHING
    kept = _fitted(photograph)
    frames = [cv2.warpPerspective(kept, _map(kept, step), SIZE[::-1], flags=cv2.INTER_LINEAR) for step in path]
    if kind in RECORDINGS:
        frames = [RECORDINGS[kind](rng, frame.astype(np.float32)) for frame in frames]
    return np.stack(frames).astype(np.uint8)


def _fitted(photograph: Bytes) -> Bytes:
    """Return the photograph at SPARE times the frame's size along its tighter side."""
    factor = SPARE * max(SIZE[0] / photograph.shape[0], SIZE[1] / photograph.shape[1])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(photograph, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def _map(kept: Bytes, step: Path) -> Path:
    """Return the map (3, 3) from the photograph into the frame of one step (6,) of a camera's path."""
    x, y, zoom, roll, *bend = step
    cos, sin = np.exp(zoom) * np.cos(roll), np.exp(zoom) * np.sin(roll)
    to_middle = np.array([[1, 0, -kept.shape[1] / 2], [0, 1, -kept.shape[0] / 2], [0, 0, 1]])
    seen = np.array([[1, 0, SIZE[1] / 2 + x], [0, 1, SIZE[0] / 2 + y], [0, 0, 1]])
    return np.asarray(seen @ np.array([[cos, -sin, 0], [sin, cos, 0], [*bend, 1]]) @ to_middle)

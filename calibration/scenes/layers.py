"""Textured planes seen by the camera: painting them, and asking exactly where their points go."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.camera import Double
from samotion.runtime.values import Bytes

NEAR = 0.25  # world units: nearer than this a layer is not drawn
OWNS = 127.5  # alpha above which a layer owns a pixel
Map = Callable[[Double], Double]
Index = int | NDArray[np.int64]  # a frame, or frames that broadcast with the points


@dataclass(frozen=True)
class Wobble:
    """A deformation made of two shears, hence invertible in closed form at any strength.

    amplitude: of each shear, in texture pixels. wave: radians a pixel along the other axis. rate, phase: of
    the travelling sine waves, in radians a frame and radians.
    """

    amplitude: tuple[float, float]
    wave: tuple[float, float]
    rate: tuple[float, float]
    phase: tuple[float, float]

    def _shear(self, axis: int, along: Double, time: Double) -> Double:
        angle = along * self.wave[axis] + (time * self.rate[axis] + self.phase[axis])
        return np.asarray(np.sin(angle) * self.amplitude[axis])

    def bend(self, x: Double, y: Double, time: Double) -> tuple[Double, Double]:
        """Return where texture points lie on the layer's plane at ``time``."""
        x = x + self._shear(0, y, time)
        return x, y + self._shear(1, x, time)

    def unbend(self, x: Double, y: Double, time: Double) -> tuple[Double, Double]:
        """Return the texture points that lie at (x, y) on the layer's plane at ``time``."""
        y = y - self._shear(1, x, time)
        return x - self._shear(0, y, time), y


@dataclass(frozen=True)
class Layer:
    """One textured plane.

    texture: (h, w, 4) uint8 with premultiplied alpha for a cut-out, (h, w, 3) for a sheet without end (it
    continues mirrored). place: times (n,) → homographies (n, 3, 3) from layer pixels to image pixels times
    depth. depth: times → depth (n,) by which layers are stacked. instance: 0 for background. reach: a sheet is
    drawn where disparity exceeds it.
    """

    texture: Bytes
    place: Map
    depth: Map
    instance: int = 0
    wobble: Wobble | None = None
    reach: float = 0.0

    @property
    def endless(self) -> bool:
        """Whether this is a sheet without end."""
        return bool(self.texture.shape[2] == 3)


def project(matrix: Double, x: Double, y: Double) -> tuple[Double, Double, Double]:
    """Return x, y and the homogeneous weight of points under homographies (..., 3, 3)."""
    m = np.moveaxis(matrix, (-2, -1), (0, 1))
    weight = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    safe = np.where(np.abs(weight) < 1e-9, 1e-9, weight)
    return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / safe, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / safe, weight


class Placed:
    """A layer at given times: its homographies, their inverses and whether it is in front of the camera.

    Row 2 of an inverse, applied to (x, y, 1), is the disparity there.
    """

    def __init__(self, layer: Layer, times: Double) -> None:
        self.layer = layer
        self.times = times
        self.matrix = layer.place(times)
        self.inverse = np.linalg.inv(self.matrix)
        self.depth = layer.depth(times)
        height, width = layer.texture.shape[:2]
        self.box = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)
        if layer.wobble:
            margin = 1 + np.abs(layer.wobble.amplitude)
            self.box += margin * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        _, _, weight = project(self.matrix[:, None], self.box[:, 0], self.box[:, 1])
        self.present = np.ones(len(times), bool) if layer.endless else weight.min(1) > NEAR
        self._pyramid = [layer.texture]

    def level(self, index: int) -> Bytes:
        """Return the texture halved ``index`` times; pixel i of a level is pixel 2i of the one below."""
        while len(self._pyramid) <= index:
            self._pyramid.append(np.asarray(cv2.pyrDown(self._pyramid[-1]), np.uint8))
        return self._pyramid[index]

    def to_texture(self, frame: Index, x: Double, y: Double) -> tuple[Double, Double, Double]:
        """Return the texture point seen at image points of ``frame``, and the disparity there."""
        px, py, disparity = project(np.asarray(self.inverse[frame]), x, y)
        if self.layer.wobble:
            px, py = self.layer.wobble.unbend(px, py, self.times[frame])
        return px, py, disparity

    def to_image(self, frame: Index, x: Double, y: Double) -> tuple[Double, Double, Double]:
        """Return where texture points are in the image at ``frame``, and their depth."""
        if self.layer.wobble:
            x, y = self.layer.wobble.bend(x, y, self.times[frame])
        return project(self.matrix[frame], x, y)

    def covers(self, frame: Index, x: Double, y: Double) -> NDArray[np.bool_]:
        """Return whether the layer's alpha exceeds one half at image points (2-D arrays) of ``frame``."""
        px, py, disparity = self.to_texture(frame, x, y)
        if self.layer.endless:
            return np.asarray(disparity > self.layer.reach)
        alpha = np.ascontiguousarray(self.layer.texture[..., 3])
        limit = 4.0 * max(alpha.shape)
        maps = [np.clip(p, -limit, limit).astype(np.float32) for p in (px, py)]
        value = cv2.remap(alpha, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray((np.asarray(value) > OWNS) & (disparity > 0) & self.present[frame])

"""Smooth paths in time, and the pinhole camera that looks at the layers.

The world has x to the right, y down and z ahead; time is counted in frames and may be fractional. A matrix of
the camera takes world points to image pixels times their depth, so that one over the last coordinate is the
disparity.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.textures import Rng

Double = NDArray[np.float64]


def _soft_ramp(x: Double) -> Double:
    """Return max(x, 0) with a rounded corner about two frames wide."""
    return np.asarray(np.logaddexp(0.0, 2.0 * x) / 2.0)


@dataclass(frozen=True)
class Trajectory:
    """A smooth function of time with values in D dimensions: start + velocity·τ(t) + waves(τ(t)).

    start, velocity: (D,). amplitude, phase: (M, D) and rate: (M,) of sine waves, radians a frame. The clock τ
    runs with t between ``begins`` and ``ends`` and stands still outside, which makes objects start and stop.
    """

    start: Double
    velocity: Double
    amplitude: Double = field(default_factory=lambda: np.zeros((0, 1)))
    rate: Double = field(default_factory=lambda: np.zeros(0))
    phase: Double = field(default_factory=lambda: np.zeros((0, 1)))
    begins: float = -np.inf
    ends: float = np.inf

    def __call__(self, times: Double) -> Double:
        """Return the values (n, D) at ``times`` (n,)."""
        clock = times
        if np.isfinite(self.begins):
            clock = self.begins + _soft_ramp(clock - self.begins)
        if np.isfinite(self.ends):
            clock = self.ends - _soft_ramp(self.ends - clock)
        value = self.start + clock[:, None] * self.velocity
        if len(self.rate):
            swing = np.sin(clock[:, None, None] * self.rate[:, None] + self.phase) - np.sin(self.phase)
            value = value + (self.amplitude * swing).sum(1)
        return np.asarray(value)

    def through(self, point: Double, time: float) -> "Trajectory":
        """Return this trajectory shifted so that it passes through ``point`` (D,) at ``time``."""
        start = self.start + point - self(np.array([time]))[0]
        return Trajectory(start, self.velocity, self.amplitude, self.rate, self.phase, self.begins, self.ends)


def still(*values: float) -> Trajectory:
    """Return the trajectory that never leaves ``values``."""
    return Trajectory(np.array(values, float), np.zeros(len(values)))


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on a path.

    height, width: of the image in pixels. focal: in pixels at zoom 1. position: (x, y, z). angles: yaw, pitch,
    roll in radians. zoom: natural logarithm of the focal length's factor. target: what the camera turns to
    follow, as far as ``grip`` (0 to 1) says. mirror: height of a level plane in which it sees the world
    reflected, if given.
    """

    height: int
    width: int
    focal: float
    position: Trajectory
    angles: Trajectory
    zoom: Trajectory
    target: Trajectory | None = None
    grip: float = 0.0
    mirror: float | None = None

    def rotation(self, times: Double) -> Double:
        """Return the rotations (n, 3, 3) from world to camera axes."""
        yaw, pitch, roll = self.angles(times).T
        if self.target is not None:
            ahead = self.target(times) - self.position(times)
            yaw = yaw + self.grip * np.arctan2(ahead[:, 0], ahead[:, 2])
            pitch = pitch + 0.5 * self.grip * np.arctan2(ahead[:, 1], ahead[:, 2])
        zero, one = np.zeros_like(yaw), np.ones_like(yaw)
        c, s = np.cos(yaw), np.sin(yaw)
        turn = _stack(c, zero, -s, zero, one, zero, s, zero, c)
        c, s = np.cos(pitch), np.sin(pitch)
        tilt = _stack(one, zero, zero, zero, c, -s, zero, s, c)
        c, s = np.cos(roll), np.sin(roll)
        return np.asarray(_stack(c, -s, zero, s, c, zero, zero, zero, one) @ tilt @ turn)

    def matrix(self, times: Double) -> Double:
        """Return the projections (n, 3, 4) from homogeneous world points to pixels times depth."""
        lens = np.zeros((len(times), 3, 3))
        lens[:, 0, 0] = lens[:, 1, 1] = self.focal * np.exp(self.zoom(times)[:, 0])
        lens[:, 0, 2], lens[:, 1, 2], lens[:, 2, 2] = (self.width - 1) / 2, (self.height - 1) / 2, 1
        turned = lens @ self.rotation(times)
        matrix = np.concatenate([turned, -turned @ self.position(times)[:, :, None]], 2)
        if self.mirror is not None:
            matrix[:, :, 3] += 2 * self.mirror * matrix[:, :, 1]
            matrix[:, :, 1] *= -1
        return matrix

    def unproject(self, x: float, y: float, depth: float, time: float) -> Double:
        """Return the world point (3,) seen at pixel (x, y) at ``depth`` at ``time``."""
        matrix = self.matrix(np.array([time]))[0]
        ray = np.linalg.solve(matrix[:, :3], np.array([x, y, 1.0]) * depth)
        return np.asarray(ray + self.position(np.array([time]))[0])


def _stack(*entries: Double) -> Double:
    return np.stack(entries, -1).reshape(-1, 3, 3)


def waves(rng: Rng, sizes: list[float], count: int, slow: float, fast: float) -> tuple[Double, Double, Double]:
    """Return amplitude (count, D), rate (count,) and phase (count, D) of random sine waves.

    ``sizes`` are the standard deviations of each dimension, ``slow`` and ``fast`` bound the rates in radians
    a frame.
    """
    amplitude = rng.normal(0, 1, (count, len(sizes))) * np.array(sizes) / max(count, 1) ** 0.5
    rate = np.exp(rng.uniform(np.log(slow), np.log(fast), count))
    return amplitude, rate, rng.uniform(0, 2 * np.pi, (count, len(sizes)))


def random_camera(rng: Rng, height: int, width: int, frames: int, strength: float) -> Camera:
    """Return a handheld camera; ``strength`` 0 holds it still, 1 is ordinary."""
    # Speeds are chosen for a clip of 24 frames: longer clips must not drive through the scenery.
    pace = strength * 24 / max(24, frames)
    kind = rng.random(4) < [0.75, 0.5, 0.25, 0.5]  # which of travel, turn, zoom, shake it does
    travel = rng.normal(0, [0.03, 0.01, 0.014]) * pace * kind[0]
    turn = rng.normal(0, [0.006, 0.0025, 0.002]) * pace * kind[1]
    turn[0] -= travel[0] / rng.uniform(3, 8) * rng.uniform(0, 1.3)  # photographers turn against their steps
    shake = strength * kind[3] * rng.uniform(0.1, 1) ** 2
    position = Trajectory(np.zeros(3), travel, *waves(rng, [0.04 * shake] * 3, 3, 0.05, 0.8))
    base = np.array([0.0, rng.uniform(-0.05, 0.05), rng.normal(0, 0.03)])
    angles = Trajectory(base, turn, *waves(rng, [0.01 * shake, 0.01 * shake, 0.008 * shake], 4, 0.1, 1.5))
    zoom = Trajectory(np.zeros(1), rng.normal(0, 0.01, 1) * pace * kind[2])
    return Camera(height, width, max(height, width) * rng.uniform(0.8, 1.5), position, angles, zoom)

"""What stands behind and beneath the objects: backdrop, ground plane, and shadows on it."""

import cv2
import numpy as np

from samotion.calibration.bodies import Pose, Skin, anchor_depth
from samotion.calibration.camera import Camera, Double, Path
from samotion.calibration.layers import Layer, Map
from samotion.calibration.textures import Rng, texture
from samotion.runtime.values import Bytes

BEHIND_ALL = 1e6  # stacking depths of the sheets, which every other layer stands before


def _fixed(camera: Camera, plane: Double) -> Map:
    """Return the map of a plane (4, 3) that stands in the world."""
    return lambda times: np.asarray(camera.matrix(times) @ plane)


def _constant(value: float) -> Map:
    return lambda times: np.full(len(times), value)


def backdrop(rng: Rng, camera: Camera, far: float, slanted: bool, photo: Bytes | None, side: int) -> Layer:
    """Return the sheet behind everything, ``far`` ahead; ``side`` is its texture's size in pixels."""
    colour = texture(rng, side, side) if photo is None else photo
    yaw, pitch = rng.normal(0, 0.2, 2).clip(-0.4, 0.4) * slanted
    across = np.array([np.cos(yaw), 0, np.sin(yaw)])
    down = np.array([0, np.cos(pitch), np.sin(pitch)])
    plane = np.zeros((4, 3))
    scale = far / camera.focal
    plane[:3, 0], plane[:3, 1] = across * scale, down * scale
    plane[:3, 2] = np.array([0, 0, far]) - (across + down) * scale * side / 2
    plane[3, 2] = 1
    return Layer(colour, _fixed(camera, plane), _constant(2 * BEHIND_ALL))


def ground(rng: Rng, camera: Camera, floor: float, far: float, photo: Bytes | None, side: int) -> Layer:
    """Return the level sheet ``floor`` below the camera that ends at the backdrop, ``far`` ahead."""
    colour = texture(rng, side, side) if photo is None else photo
    plane = np.zeros((4, 3))
    # A pixel's size on the ground at depth 3, where most of it is seen.
    scale = 3 / camera.focal * rng.uniform(0.9, 1.6)
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    plane[[0, 2], 0], plane[[0, 2], 1] = (c, s), (-s, c)
    plane[1, 2], plane[3, 2] = floor, 1
    return Layer(colour, _fixed(camera, plane), _constant(BEHIND_ALL), reach=1 / far)


def shade_of(rng: Rng, camera: Camera, skin: Skin, pose: Pose, floor: float) -> Layer:
    """Return the soft shadow that an object drops on the ground; too faint to own a pixel."""
    size = 48
    alpha = np.zeros((size, size), np.float32)
    cv2.circle(alpha, (size // 2, size // 2), size // 3, rng.uniform(60, 120), -1)
    soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), size / 10), np.float32)
    colour = np.zeros((size, size, 4), np.uint8)
    colour[..., 3] = soft
    scale = pose.scale * skin.size[1] / (size * 0.6)

    def place(times: Double) -> Double:
        plane = np.zeros((len(times), 4, 3))
        plane[:, 0, 0], plane[:, 2, 1], plane[:, 3, 2] = scale, -0.5 * scale, 1
        plane[:, :3, 2] = pose.anchor(times)
        plane[:, 1, 2] = floor
        plane[:, :3, 2] -= (plane[:, :3, 0] + plane[:, :3, 1]) * (size - 1) / 2
        return np.asarray(camera.matrix(times) @ plane)

    anchor: Path = pose.anchor
    return Layer(colour, place, anchor_depth(camera, anchor))

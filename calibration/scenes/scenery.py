"""What stands behind and beneath the objects: backdrop, ground plane, and shadows on it."""

import cv2
import numpy as np

from samotion.calibration.scenes.bodies import Pose, Skin, anchor_depth
from samotion.calibration.scenes.camera import Camera, Double
from samotion.calibration.scenes.layers import Layer, Map
from samotion.calibration.scenes.textures import Rng
from samotion.runtime.values import Bytes

BEHIND_ALL = 1e6  # stacking depths of the sheets, which every other layer stands before


def _fixed(camera: Camera, plane: Double) -> Map:
    """Return the map of a plane (4, 3) that stands in the world."""
    return lambda times: np.asarray(camera.matrix(times) @ plane)


def _constant(value: float) -> Map:
    return lambda times: np.full(len(times), value)


def backdrop(camera: Camera, far: float, yaw: float, pitch: float, colour: Bytes) -> Layer:
    """Return the sheet behind everything, ``far`` ahead and turned by ``yaw`` and ``pitch`` radians."""
    across = np.array([np.cos(yaw), 0, np.sin(yaw)])
    down = np.array([0, np.cos(pitch), np.sin(pitch)])
    scale = far / camera.focal
    rows, columns = colour.shape[:2]
    plane = np.zeros((4, 3))
    plane[:3, 0], plane[:3, 1] = across * scale, down * scale
    plane[:3, 2] = np.array([0, 0, far]) - (across * columns + down * rows) * scale / 2
    plane[3, 2] = 1
    return Layer(colour, _fixed(camera, plane), _constant(2 * BEHIND_ALL))


def ground(camera: Camera, floor: float, far: float, turn: float, scale: float, colour: Bytes) -> Layer:
    """Return the level sheet ``floor`` below the camera that ends at the backdrop, ``far`` ahead.

    turn: angle of the texture's x axis from the world's, radians. scale: world units a texture pixel.
    """
    plane = np.zeros((4, 3))
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    plane[[0, 2], 0], plane[[0, 2], 1] = (c, s), (-s, c)
    plane[1, 2], plane[3, 2] = floor, 1
    return Layer(colour, _fixed(camera, plane), _constant(BEHIND_ALL), reach=1 / far)


def shadow(rng: Rng, camera: Camera, skin: Skin, pose: Pose, floor: float) -> Layer:
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

    return Layer(colour, place, anchor_depth(camera, pose.anchor))

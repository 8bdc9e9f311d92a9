"""Scripted paths: an object that comes into view late, two that cross, and stopping for good."""

from dataclasses import replace

from samotion.calibration.scenes.camera import Camera, Trajectory
from samotion.calibration.scenes.textures import Rng

Seen = tuple[float, float, float]  # x, y in pixels of the image, time in frames


def passage(camera: Camera, depth: float, start: Seen, end: Seen) -> Trajectory:
    """Return the straight path that the camera sees at ``start`` and at ``end``, both at ``depth``."""
    first = camera.unproject(start[0], start[1], depth, start[2])
    last = camera.unproject(end[0], end[1], depth, end[2])
    velocity = (last - first) / (end[2] - start[2])
    return Trajectory(first - velocity * start[2], velocity)


def entrance(rng: Rng, camera: Camera, depth: float, reach: float, frames: int) -> Trajectory:
    """Return a path that comes into view from the left or the right in the second third of the clip.

    reach: pixels from the object's anchor to its farthest point. It ends well inside the image.
    """
    y = rng.uniform(0.3, 0.7) * (camera.height - 1)
    outside, inside = -reach - 2, rng.uniform(0.35, 0.65) * (camera.width - 1)
    if rng.random() < 0.5:
        outside = camera.width - 1 - outside
    begins = rng.uniform(1 / 3, 1 / 2) * (frames - 1)
    return passage(camera, depth, (outside, y, begins), (inside, y, float(frames - 1)))


def crossing(rng: Rng, camera: Camera, depth: float, rightwards: bool, y: float, frames: int) -> Trajectory:
    """Return a path across the image that is at its middle, at height ``y``, halfway through the clip."""
    edge = rng.uniform(0.12, 0.22) * (camera.width - 1)
    start, end = edge, camera.width - 1 - edge
    if not rightwards:
        start, end = end, start
    slope = rng.uniform(-0.05, 0.05) * camera.height
    return passage(camera, depth, (start, y - slope, 0.0), (end, y + slope, float(frames - 1)))


def halted(path: Trajectory, time: float) -> Trajectory:
    """Return ``path``, standing still from ``time`` on."""
    return replace(path, ends=min(path.ends, time))

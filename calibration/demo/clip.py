"""The demo clip: a dog, a ball and a passing car before things that stand still, seen by a walking camera.

``python -m samotion.calibration.demo -o runtime/demo.mp4`` makes the clip that ships with the package.
"""

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from samotion.calibration.demo import art
from samotion.calibration.scenes.bodies import Pose, Skin, layers
from samotion.calibration.scenes.camera import Camera, Trajectory, still
from samotion.calibration.scenes.layers import Layer
from samotion.calibration.scenes.scene import Scene, render
from samotion.calibration.scenes.scenery import backdrop, ground, shadow
from samotion.calibration.scenes.spec import SceneSpec
from samotion.engines.errors import OutputError, SamotionError
from samotion.runtime.values import Bytes

FRAMES, HEIGHT, WIDTH, FPS = 48, 272, 480, 24
SEED = 3
FINE = 2  # frames are painted this much larger, then averaged down
FLOOR = 1.15  # metres from the ground up to the camera
FAR = 45.0  # metres to the horizon's trees


def _swing(amplitude: float, rate: float, phase: float, rest: float = 0.0) -> Trajectory:
    """Return an angle that swings about ``rest``."""
    start = np.array([rest + amplitude * np.sin(phase)])
    return Trajectory(start, np.zeros(1), np.array([[amplitude]]), np.array([rate]), np.array([[phase]]))


def _camera() -> Camera:
    """Return a camera that walks to the right and sways as a hand does."""
    sway = np.array([[0.006, 0.010, 0.0], [0.008, 0.005, 0.0]])
    walk = Trajectory(np.zeros(3), np.array([0.021, 0, 0.006]), sway, np.array([0.13, 0.4]), np.ones((2, 3)))
    shake = np.array([[0.0035, 0.002, 0.001], [0.002, 0.0025, 0.0015]])
    look = Trajectory(
        np.array([-0.03, 0.02, 0]), np.array([0.0008, 0, 0]), shake, np.array([0.21, 0.53]), np.ones((2, 3))
    )
    return Camera(HEIGHT * FINE, WIDTH * FINE, 460.0 * FINE, walk, look, still(0.0))


class _Set:
    """Collects the layers of the scene and who moves."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.camera = rng, _camera()
        self.layers: list[Layer] = []
        self.moving: list[bool] = []

    def put(self, skin: Skin, pose: Pose, number: int, swings: Sequence[Trajectory | None] | None = None) -> None:
        """Add an object with a shadow; ``number`` 0 is background."""
        self.layers.append(shadow(self.rng, self.camera, skin, pose, FLOOR))
        chosen: list[Trajectory | None] = list(swings or [None] * len(skin.parts))
        self.layers += layers(self.camera, skin, pose, number, chosen, None)

    def stand(self, skin: Skin, x: float, z: float, scale: float, number: int = 0) -> None:
        """Add something that stands on the ground at (x, z), its lowest row touching it."""
        pose = Pose(still(x, FLOOR - skin.size[0] * scale / 2, z), still(0.0), 0.0, scale)
        self.put(skin, pose, number)

    def mover(self) -> int:
        """Return the number of a new moving object."""
        self.moving.append(True)
        return len(self.moving)


def _scenery(made: _Set) -> None:
    rng, camera = made.rng, made.camera
    made.layers.append(backdrop(camera, FAR, 0.0, 0.0, art.sky(rng, 520, 1500)))
    pixels = 64.0
    grass = art.meadow(rng, 1600, 1400, pixels, (8.6, 12.6))
    made.layers.append(ground(camera, FLOOR, FAR, 0.0, 1 / pixels, grass))
    for z, tone, tall, cells in [
        (44.0, (126, 146, 160), 6.5, 5),
        (40.0, (92, 120, 104), 4.2, 9),
        (30.0, (72, 104, 60), 3.0, 40),
    ]:
        skin = art.ridge(rng, 160, 2400, tone, cells, 0.55 if z > 35 else 0.8)
        scale = tall / 160
        pose = Pose(still(0.5, FLOOR - tall / 2, float(z)), still(0.0), 0.0, scale)
        made.layers += layers(camera, skin, pose, 0, [None], None)
    for x, z, tall in [(-5.5, 15.0, 4.6), (3.2, 17.0, 5.0), (8.0, 14.5, 4.2), (-10.0, 19.0, 5.5)]:
        made.stand(art.tree(rng, 460, (78, 112, 52)), x, z, tall / 460)
    made.stand(art.tree(rng, 900, (92, 124, 50)), 1.75, 6.6, 4.3 / 900)
    made.stand(art.bush(rng, 190, 330, (84, 116, 52)), -1.75, 4.9, 1 / 260)


def _dog(made: _Set) -> None:
    skin, rate, scale = art.dog(made.rng), 0.42, 1 / 250
    legs = []
    for phase in (0.0, np.pi, np.pi, 0.0):
        legs.append([_swing(0.42, rate, phase), _swing(0.34, rate, phase + 1.9, 0.3)])
    swings = [*legs[0], *legs[1], _swing(0.3, 0.7, 0.0, 2.3), None, *legs[2], *legs[3], _swing(0.06, rate, 0.5)]
    walk = Trajectory(
        np.array([-1.35, FLOOR - 0.388, 4.1]),
        np.array([0.036, 0, 0]),
        np.array([[0.0, 0.012, 0.0]]),
        np.array([2 * rate]),
        np.zeros((1, 3)),
    )
    made.put(skin, Pose(walk, still(0.0), 0.0, scale), made.mover(), swings)


def _ball(made: _Set) -> None:
    size, radius, speed = 110, 0.21, -0.034
    scale = 2 * radius / (size - 4)
    roll = Trajectory(np.array([1.75, FLOOR - radius, 4.7]), np.array([speed, 0, 0]))
    spin = Trajectory(np.zeros(1), np.array([speed / radius]))
    number = made.mover()
    made.put(art.ball(size), Pose(roll, spin, 0.0, scale), number)
    made.layers += layers(made.camera, art.gloss(size), Pose(roll, still(0.0), 0.0, scale), 0, [None], None)


def _cars(made: _Set) -> None:
    scale, speed = 1 / 100, -0.085
    height = FLOOR - 0.75
    drive = Trajectory(np.array([4.4, height, 10.0]), np.array([speed, 0, 0]))
    wheels = Trajectory(np.zeros(1), np.array([speed / 0.33]))
    red = art.car(made.rng, (190, 36, 34))
    made.put(red, Pose(drive, still(0.0), 0.0, scale), made.mover(), [None, wheels, wheels])
    made.moving.append(False)
    parked = Pose(still(-2.6, height, 13.0), still(0.0), 0.0, scale)
    made.put(art.car(made.rng, (66, 98, 140)), parked, len(made.moving))


def demo_scene(frames: int = FRAMES) -> Scene:
    """Return the demo with its labels, FINE times larger than the clip; objects 1 to 3 move, 4 is parked."""
    rng = np.random.default_rng(SEED)
    made = _Set(rng)
    _scenery(made)
    _dog(made)
    _ball(made)
    _cars(made)
    spec = SceneSpec(frames=frames, height=HEIGHT * FINE, width=WIDTH * FINE)
    return render(made.layers, made.moving, {"blur"}, spec, rng)


def demo_frames() -> Bytes:
    """Return the clip's frames (FRAMES, HEIGHT, WIDTH, 3) uint8, RGB, with a camera's noise."""
    fine = demo_scene().frames
    grain = np.random.default_rng(SEED).normal(0, 1.5, (FRAMES, HEIGHT, WIDTH, 1))
    small = [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in fine]
    return np.clip(np.stack(small) + grain, 0, 255).astype(np.uint8)


def encode(frames: Bytes, path: Path) -> None:
    """Write frames (T, H, W, 3) as H.264 at FPS; raises OutputError if ``path`` cannot be written."""
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(FPS))
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            stream.options = {"crf": "19", "preset": "slow", "threads": "1"}
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Render the clip; 0 when written, 2 with one line on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m samotion.calibration.demo", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="the .mp4 to write")
    arguments = parser.parse_args(argv)
    try:
        encode(demo_frames(), arguments.out)
    except SamotionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0

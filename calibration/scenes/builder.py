"""What a scene consists of: draws camera, scenery and objects, and says which factors came out."""

from dataclasses import dataclass, field, replace

import numpy as np

from samotion.calibration.scenes.bodies import (
    Pose,
    Skin,
    camouflaged,
    cut_out_skin,
    layers,
    painted_skin,
    post_skin,
    skyline,
)
from samotion.calibration.scenes.camera import Trajectory, random_camera, still, waves
from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.layers import Layer, Wobble
from samotion.calibration.scenes.scenery import backdrop, ground, shadow
from samotion.calibration.scenes.scripts import crossing, entrance, halted
from samotion.calibration.scenes.spec import SceneSpec
from samotion.calibration.scenes.textures import Rng, texture
from samotion.runtime.values import Bytes

PHOTOMETRIC = ("blur", "light", "vignette", "noise", "jpeg")


@dataclass
class Staged:
    """A scene before rendering: layers far to near at equal depth, which objects move, factors' names."""

    layers: list[Layer] = field(default_factory=list)
    moving: list[bool] = field(default_factory=list)
    factors: set[str] = field(default_factory=set)


def stage(rng: Rng, spec: SceneSpec, sources: Sources | None) -> Staged:
    """Draw a scene."""
    return _Stager(rng, spec, sources).stage()


class _Stager:
    """Holds what the drawing of one scene shares."""

    def __init__(self, rng: Rng, spec: SceneSpec, sources: Sources | None) -> None:
        self.rng, self.spec, self.sources = rng, spec, sources
        # A stream of its own for factors that are off by default: a scene with one is else the scene without.
        self.apart = rng.spawn(1)[0]
        self.staged = Staged()
        self.side = round(1.4 * max(spec.height, spec.width))  # of the textures of backdrop and ground
        strength = 0.0 if self.happens("still_camera", "still camera") else spec.camera
        self.camera = random_camera(rng, spec.height, spec.width, spec.frames, strength)
        # Height of the camera above the ground, in world units, None without a ground: such that the ground at
        # depth 4 is seen in the lower half of the image.
        low = 4 * spec.height / self.camera.focal * rng.uniform(0.12, 0.42)
        self.floor = low if self.happens("ground", "ground") else None
        self.strength = strength

    def happens(self, name: str, factor: str | None = None) -> bool:
        """Draw whether something of the spec's probability ``name`` happens; note ``factor`` if so."""
        struck = bool(self.rng.random() < getattr(self.spec, name))
        if struck and factor:
            self.staged.factors.add(factor)
        return struck

    def strikes(self, name: str, factor: str) -> bool:
        """Draw whether something happens that is off by default; note ``factor`` if so."""
        struck = bool(self.apart.random() < getattr(self.spec, name))
        if struck:
            self.staged.factors.add(factor)
        return struck

    def photo(self, height: int, width: int) -> Bytes | None:
        """Return a photographed texture, or None where it is to be drawn."""
        if self.sources is None or not self.happens("photo"):
            return None
        return self.sources.photo(self.rng, height, width)

    def stage(self) -> Staged:
        staged = self.staged
        staged.factors |= {name for name in PHOTOMETRIC if self.happens(name)}
        moving = self._movers()
        camouflage, occluder = self.strikes("camouflage", "camouflage"), self.strikes("occluder", "occluder")
        cloth = texture(self.apart, self.side, self.side) if camouflage else None
        self.crosses = len(moving) > 1 and self.strikes("crosses", "crossing")
        self.meet = self.apart.uniform(0.35, 0.65) * (self.spec.height - 1)
        if self.crosses:
            moving[:2] = [True, True]
        pieces: list[list[Layer]] = []
        skin: Skin | None = None
        for number, moves in enumerate(moving, 1):
            alike = skin is not None and self.happens("look_alike", "look-alike")
            if skin is None or not alike:
                skin = self._skin()
            worn = skin if cloth is None else camouflaged(self.apart, skin, cloth)
            pieces.append(self._object(number, moves, worn))
        staged.layers += self._background(cloth)
        for piece in pieces:
            staged.layers += piece
        if occluder:
            staged.layers += self._post()
        staged.moving = moving
        if not any(moving):
            staged.factors.add("nothing moves")
        return staged

    def _movers(self) -> list[bool]:
        low, high = self.spec.objects
        count = int(self.rng.integers(low, high + 1))
        drawn = self.rng.random(count) < self.spec.moving
        if self.happens("nothing_moves"):
            drawn[:] = False
        elif count and self.spec.moving > 0 and not drawn.any():
            drawn[0] = True
        return [bool(moves) for moves in drawn]

    def _skin(self) -> Skin:
        """Draw a skin about as large in texture pixels as the object will be in the image."""
        rng, size = self.rng, min(self.spec.height, self.spec.width)
        height = round(1.15 * size * np.exp(rng.uniform(np.log(0.1), np.log(0.5))))
        height = max(24, height)
        if self.sources is not None and self.happens("photo"):
            found = self.sources.cut_out(rng, height)
            if found is not None:
                self.staged.factors.add("photo cut-out")
                return cut_out_skin(*found)
        width = max(24, round(height * np.exp(rng.normal(0, 0.35))))
        return painted_skin(rng, height, width, self.happens("jointed", "jointed"), self.photo(height, width))

    def _object(self, number: int, moves: bool, skin: Skin) -> list[Layer]:
        rng, spec = self.rng, self.spec
        depth = rng.uniform(2.2, 7)
        scale = depth / self.camera.focal / 1.15
        time = rng.uniform(0, spec.frames - 1)
        point = self._spot(skin.size[0] * scale, depth, time)
        slant = rng.normal(0, 0.25)
        if not moves:
            pose = Pose(still(*point), still(rng.normal(0, 0.1)), slant, scale)
            return self._build(number, skin, pose, [None] * len(skin.parts), None)
        stays = self.happens("in_place", "in place")
        act = self._act(number, depth, skin)
        path = self._walk(depth, stays).through(point, time)  # drawn in any case: what follows stays the same
        path = path if act is None else act
        turns = self.happens("spin", "spin") or (stays and len(skin.parts) == 1)
        spin = self._turn() if turns else still(rng.normal(0, 0.1))
        # A camera that follows would undo a script, whose path is made for the camera as it is.
        follow = None if act else "follow"
        if number == 1 and self.strength > 0 and self.happens("follow", follow) and act is None:
            self.camera = replace(self.camera, target=path, grip=rng.uniform(0.5, 1))
        swings, wobble = [self._swing(part.swing) for part in skin.parts], self._wobble(skin)
        if self.strikes("halts", "halting"):
            at = self.apart.uniform(1 / 3, 2 / 3) * (spec.frames - 1)
            path, spin, wobble = halted(path, at), halted(spin, at), None
            swings = [swing and halted(swing, at) for swing in swings]
        return self._build(number, skin, Pose(path, spin, slant, scale), swings, wobble)

    def _act(self, number: int, depth: float, skin: Skin) -> Trajectory | None:
        """Return the path that the script asks of a moving object, None where it walks as it likes."""
        frames = self.spec.frames
        if self.crosses and number <= 2:
            return crossing(self.apart, self.camera, depth, number == 1, self.meet, frames)
        if self.strikes("enters", "entering"):
            reach = float(np.hypot(*skin.size)) / 2 / 1.15
            return entrance(self.apart, self.camera, depth, reach, frames)
        return None

    def _spot(self, height: float, depth: float, time: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return a world point in view at ``time`` for an object ``height`` world units tall."""
        rng, spec = self.rng, self.spec
        x = rng.uniform(0.1, 0.9) * (spec.width - 1)
        point = self.camera.unproject(x, rng.uniform(0.12, 0.88) * (spec.height - 1), depth, time)
        if self.floor is not None:
            stands = self.floor - height / 2
            in_view = self.camera.focal * self.floor / depth < 0.48 * spec.height
            point[1] = stands if in_view and rng.random() < 0.8 else min(point[1], stands)
        return point

    def _walk(self, depth: float, stays: bool) -> Trajectory:
        """Return a path from the origin; speeds are chosen in pixels a frame at ``depth``."""
        rng, spec = self.rng, self.spec
        unit = depth / self.camera.focal
        size = max(spec.height, spec.width)
        speed = spec.speed * size / 256 * np.exp(rng.uniform(np.log(0.6), np.log(5)))
        speed = 0.0 if stays else min(speed, 1.2 * size / spec.frames)
        heading = rng.uniform(0, 2 * np.pi)
        lift = 0.1 if self.floor is not None and rng.random() < 0.7 else 1.0
        velocity = np.array([np.cos(heading), lift * np.sin(heading), 0.0])
        velocity *= speed * unit / max(float(np.hypot(*velocity[:2])), 1e-6)
        if self.happens("approach", "approach") and not stays:
            velocity[2] = depth * rng.uniform(-0.45, 0.6) / spec.frames
        sway = rng.random() < 0.35
        size_px = unit * size * 0.05 * float(sway and not stays)
        moves = waves(rng, [size_px, size_px * lift, 0.0], 2, 0.08, 0.5)
        begins, ends = -np.inf, np.inf
        if self.happens("stops", "stops"):
            at = rng.uniform(0.25, 0.75) * spec.frames
            begins, ends = (at, np.inf) if rng.random() < 0.5 else (-np.inf, at)
        return Trajectory(np.zeros(3), velocity, *moves, begins, ends)

    def _turn(self) -> Trajectory:
        rate = self.rng.choice([-1, 1]) * self.rng.uniform(0.02, 0.12) * self.spec.speed
        if self.rng.random() < 0.5:
            return Trajectory(np.zeros(1), np.array([rate]))
        return Trajectory(np.zeros(1), np.zeros(1), *waves(self.rng, [0.5], 1, 0.1, 0.4))

    def _swing(self, most: float) -> Trajectory | None:
        if most == 0:
            return None
        rate, phase = self.rng.uniform(0.2, 0.6, 1), self.rng.uniform(0, 2 * np.pi, (1, 1))
        return Trajectory(np.zeros(1), np.zeros(1), np.array([[most]]), rate, phase)

    def _wobble(self, skin: Skin) -> Wobble | None:
        if not self.happens("wobble", "wobble"):
            return None
        rng, (height, width) = self.rng, skin.size
        amplitude = rng.uniform(0.02, 0.09, 2) * min(height, width)
        wave = rng.uniform(1.5, 7, 2) / np.array([height, width])
        rate, phase = rng.uniform(0.15, 0.6, 2), rng.uniform(0, 2 * np.pi, 2)
        pair = [(float(v[0]), float(v[1])) for v in (amplitude, wave, rate, phase)]
        return Wobble(*pair)

    def _build(
        self, number: int, skin: Skin, pose: Pose, swings: list[Trajectory | None], wobble: Wobble | None
    ) -> list[Layer]:
        if self.happens("transparent", "transparent"):
            share = self.rng.uniform(0.6, 0.85)
            skin = replace(skin, textures=tuple((t * share).astype(np.uint8) for t in skin.textures))
        made: list[Layer] = []
        if self.floor is not None and self.happens("shadow", "shadow"):
            made.append(shadow(self.rng, self.camera, skin, pose, self.floor))
        body = layers(self.camera, skin, pose, number, swings, wobble)
        if self.floor is not None and self.happens("reflection", "reflection"):
            made += self._reflection(skin, pose, swings, wobble, self.floor)
        return made + body

    def _reflection(
        self, skin: Skin, pose: Pose, swings: list[Trajectory | None], wobble: Wobble | None, floor: float
    ) -> list[Layer]:
        """Return an object's mirror image in the ground, too faint to own a pixel."""
        strength = self.rng.uniform(0.1, 0.4)
        faint = replace(skin, textures=tuple((t * strength).astype(np.uint8) for t in skin.textures))
        return layers(replace(self.camera, mirror=floor), faint, pose, 0, swings, wobble)

    def _background(self, cloth: Bytes | None) -> list[Layer]:
        """Return what stands behind and under the objects; ``cloth`` covers backdrop and ground, if given."""
        rng, spec, camera = self.rng, self.spec, self.camera
        far = rng.uniform(8, 14)
        yaw, pitch = rng.normal(0, 0.2, 2).clip(-0.4, 0.4) * (self.floor is None)
        made = [backdrop(camera, far, yaw, pitch, self._surface(cloth))]
        if self.floor is not None:
            # A pixel's size on the ground at depth 3, where most of it is seen.
            scale = 3 / camera.focal * rng.uniform(0.9, 1.6)
            made.append(ground(camera, self.floor, far, rng.uniform(0, 2 * np.pi), scale, self._surface(cloth)))
        for _ in range(int(rng.integers(spec.scenery[0], spec.scenery[1] + 1))):
            made += self._standing(rng.uniform(4, far - 1))
        return made

    def _surface(self, cloth: Bytes | None) -> Bytes:
        photo = self.photo(self.side, self.side)
        drawn = texture(self.rng, self.side, self.side) if photo is None else photo
        return drawn if cloth is None else cloth

    def _post(self) -> list[Layer]:
        """Return an unnumbered post from top to bottom of the view, nearer than any object."""
        rng, spec = self.apart, self.spec
        depth, time = rng.uniform(1.2, 1.9), rng.uniform(0, spec.frames - 1)
        width, height = max(24, round(rng.uniform(0.1, 0.2) * spec.width)), round(2.5 * spec.height)
        at = rng.uniform(0.25, 0.75) * (spec.width - 1), 0.5 * (spec.height - 1)
        point = self.camera.unproject(*at, depth, time)
        pose = Pose(still(*point), still(0.0), 0.0, depth / self.camera.focal)
        return layers(self.camera, post_skin(rng, height, width), pose, 0, [None], None)

    def _standing(self, depth: float) -> list[Layer]:
        """Return a large unnumbered thing that stands in the world."""
        rng, spec = self.rng, self.spec
        height = max(32, round(rng.uniform(0.25, 0.7) * spec.height))
        width = max(32, round(rng.uniform(0.3, 1.3) * spec.width))
        photo = self.photo(height, width)
        strip = rng.random() < 0.5
        skin = skyline(rng, height, width, photo) if strip else painted_skin(rng, height, width, False, photo)
        scale = depth / self.camera.focal
        point = self._spot(height * scale, depth, rng.uniform(0, spec.frames - 1))
        pose = Pose(still(*point), still(0.0), rng.normal(0, 0.2), scale)
        return layers(self.camera, skin, pose, 0, [None], None)

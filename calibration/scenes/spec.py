"""What scenes may contain: every factor can be switched off or made certain."""

from dataclasses import dataclass, replace

from samotion.engines.errors import SettingsError


@dataclass(frozen=True)
class SceneSpec:
    """What scenes may contain; every field from ``moving`` on but ``camera`` and ``speed`` is a probability.

    frames, height, width: of the clip. objects: least and most numbered objects. scenery: least and most
    unnumbered standing layers between the objects and the backdrop. camera: strength of its motion, 0 holds
    it still. speed: factor of the objects' speed.
    moving: that an object moves by itself; at least one does, except where nothing_moves strikes.
    still_camera, follow: that the camera stands, or turns after the first object. ground: that there is a
    ground plane. look_alike: that an object has the skin of the one before. jointed, wobble, spin, approach:
    kinds of motion. stops: that an object starts late or stops. in_place: that it moves without going away.
    transparent: that an object is see-through. shadow, reflection: that the ground shows one of an object.
    blur, light, vignette, noise, jpeg: that the scene has this factor. photo: that a skin or sheet is
    photographed, if there are sources.
    camouflage: that objects wear the texture behind them. occluder: that something stands between the camera and the
    objects. enters: that an object comes into view late. crosses: that the first two objects, if there are two, move
    and cross in the image halfway. halts: that an object moves and stops for good.
    """

    frames: int = 24
    height: int = 256
    width: int = 256
    objects: tuple[int, int] = (1, 6)
    scenery: tuple[int, int] = (0, 3)
    camera: float = 1.0
    speed: float = 1.0
    moving: float = 0.6
    nothing_moves: float = 0.08
    still_camera: float = 0.1
    follow: float = 0.3
    ground: float = 0.6
    look_alike: float = 0.25
    jointed: float = 0.25
    wobble: float = 0.2
    spin: float = 0.4
    approach: float = 0.3
    stops: float = 0.15
    in_place: float = 0.1
    transparent: float = 0.04
    shadow: float = 0.3
    reflection: float = 0.05
    blur: float = 0.15
    light: float = 0.3
    vignette: float = 0.2
    noise: float = 0.4
    jpeg: float = 0.3
    photo: float = 0.6
    camouflage: float = 0.0
    occluder: float = 0.0
    enters: float = 0.0
    crosses: float = 0.0
    halts: float = 0.0

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.height, self.width) < 32:
            raise SettingsError(
                f"a scene of {self.frames} frames of {self.height}×{self.width}: expected at least 1 of 32×32"
            )
        if not 0 <= self.objects[0] <= self.objects[1] <= 250:
            raise SettingsError(f"objects is {self.objects}, expected least and most within 0 and 250")

    def plain(self) -> "SceneSpec":
        """Return this spec without transparency, shadows and photometric factors: colours stay on surfaces."""
        return replace(self, transparent=0, shadow=0, reflection=0, blur=0, light=0, vignette=0, noise=0, jpeg=0)

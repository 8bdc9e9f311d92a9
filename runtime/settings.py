"""The pipeline's constants, named once; a bundle may state its own and a user may override some."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from samotion.engines.errors import SettingsError
from samotion.engines.strict_json import Fault, convert


@dataclass(frozen=True)
class Settings:
    """Constants of the published pipeline (CVPR 2025) unless the bundle's manifest states others."""

    # Sampling: which frames are used, and which points are followed in them.
    seed: int = 0
    """Draws the sample of points."""
    step: int = 10
    """Frames between query frames."""
    grid_pixels: int = 9000
    """A query frame's grid has a pitch of ⌊√(H·W/grid_pixels)⌋ pixels."""
    max_tracks: int = 5000
    """Most tracks followed at once."""
    point_chunk: int = 16
    """Tracks that go through the tracker together: few enough for a CPU's cache to hold their cost volumes."""
    max_side: int = 1000
    """Frames are shrunk to this longest side, in pixels."""
    max_frames: int | None = None
    """Of a longer clip only every n-th frame is used, so that at most this many are. None: all."""
    max_pixels: int = 128_000_000
    """An input whose header declares larger frames is refused before they are decoded."""
    published_resizing: bool = False
    """Resize frames for the networks with the published kernels instead of faster ones."""

    # Windows
    window: int | None = 120
    """Frames worked on at a time. None or 0, published: the whole clip, in memory that grows with it."""
    overlap: int = 8
    """Frames that two windows share, by which objects are known again."""

    # Motion
    motion_frames: int | None = None
    """Most frames that the motion network sees at once; a longer clip is seen as several interleaved ones.

    For a network that learnt from shorter clips than it is given. None, published: the whole clip.
    """
    against_camera: bool = False
    """The motion network is also given what each track does beside the camera's motion. Published: not."""
    skip_blank: bool = False
    """No point is queried on a frame that is blank or repeats the one before, nor does the motion network see it."""
    dynamic_above: float | None = None
    """Probability above which a track is dynamic. None, published: a ladder, for thousands of tracks."""
    dynamic_least: float | None = None
    """Where fewer than ten tracks are above ``dynamic_above``, it is lowered by tenths down to this. None: not."""
    best_three: bool = False
    """If no track passes, take the best three all the same. Published; off, so that "nothing moves" can be said."""

    # Prompts: what SAM2 is asked with.
    complete_within: float | None = None
    """Part of the frame's diagonal within which dynamic tracks without a group join the object they move beside.

    None, published: they are lost.
    """
    prompt_step: int = 16
    """Frames between an object's prompts in stage 2."""
    clicks: int = 1
    """Positive clicks of a prompt."""
    background_clicks: int = 0
    """Negative clicks of a prompt."""
    click_confidence: float = 0.9
    """A visible point may be clicked if its confidence is above this."""
    all_tracks: bool = False
    """An object's tracks, and the still ones against them, also enter a prompt as mask logits. Published: not."""

    # Masks
    least_support: float | None = None
    """Omit an object whose share of moving tracks, among those in its masks, is below this part of the clip's best.

    For labels that err on whole pieces of scenery. None, published: all objects stay.
    """
    follow_edges: bool = False
    """Masks follow the frame's edges, for networks whose own outlines are coarse. Published: not."""

    def __post_init__(self) -> None:
        positive = (
            "step",
            "grid_pixels",
            "max_tracks",
            "point_chunk",
            "max_side",
            "overlap",
            "max_pixels",
            "prompt_step",
            "clicks",
        )
        for name in positive:
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("max_frames", "motion_frames"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise SettingsError(f"{name} is {limit}, expected at least 1")
        # With fewer, windows would mostly do again what the one before did, and three could share a frame.
        if self.window and self.window < 2 * self.overlap:
            raise SettingsError(
                f"window is {self.window}, expected at least {2 * self.overlap}, twice the overlap of {self.overlap} "
                "(or 0: no windows)"
            )
        if self.window is not None and self.window < 0:
            raise SettingsError(f"window is {self.window}, expected 0 or more")
        if self.seed < 0 or self.background_clicks < 0:
            raise SettingsError("seed and background_clicks must not be negative")

    @classmethod
    def published(cls) -> "Settings":
        """Return what the published system does, whatever a bundle states: its efficiency mode, its fallback."""
        return cls(max_frames=100, window=None, best_three=True, published_resizing=True)

    def override(self, values: Mapping[str, Any]) -> "Settings":
        """Return these settings with ``values`` in place; raises SettingsError on an unknown name or a wrong type."""
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(values) - known):
            raise SettingsError(f"unknown setting {unknown[0]}; known are {', '.join(sorted(known))}")
        try:
            return convert({**asdict(self), **values}, Settings)
        except Fault as fault:
            raise SettingsError(f"setting {fault}") from fault

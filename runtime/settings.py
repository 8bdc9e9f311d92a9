"""The pipeline's constants, named once; a bundle may state its own and a user may override some."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from samotion.engines.errors import SettingsError
from samotion.engines.strict_json import Fault, convert


@dataclass(frozen=True)
class Settings:
    """Constants of the published pipeline (CVPR 2025) unless the bundle's manifest states others.

    seed: draws the sample of queries. step: frames between query frames. grid_pixels: a query frame's grid has
    a pitch of ⌊√(H·W/grid_pixels)⌋ pixels. max_tracks: most tracks followed at once. point_chunk: tracks that
    go through the tracker together, few enough that their cost volumes stay in a CPU's cache. max_side: frames
    are shrunk to this longest side, in pixels. max_pixels: an input whose header declares larger frames is refused
    before they are decoded. max_frames: longer clips are strided down to at most this many
    frames (None: all). window: a longer clip is worked on in windows of so many frames (None or 0, published: whole,
    in memory that grows with the clip). overlap: frames that two windows share, by which objects are known again.
    motion_frames: most frames that the motion network sees at once; it sees a longer clip as several interleaved ones
    (None, published: whole), for a network that learnt from shorter clips than it is given.
    dynamic_above: probability above which a track is dynamic (None, published: a ladder of thresholds, made for
    thousands of tracks). complete_within: dynamic tracks that stage 1 left out join the object they move beside
    within this part of the frame's diagonal (None, published: they are lost).
    prompt_step: frames between an object's prompts in stage 2. clicks, background_clicks: positive and
    negative clicks of such a prompt. click_confidence: confidence above which a visible point may be clicked.
    all_tracks: an object's tracks, and the still ones against them, all enter such a prompt as mask logits, besides
    the clicks (published: not).
    least_support: an object is left out where the share of moving tracks among those inside its masks is below this
    part of the clip's best (None, published: all stay), for labels that err on whole pieces of scenery.
    follow_edges: masks follow the frame's edges, for networks whose own outlines are coarse (published: not).
    best_three: if no track passes, take the best three all the same
    (published; here off, so that "nothing moves" can be said).
    published_resizing: resize frames for the networks with the published kernels instead of faster ones.
    """

    seed: int = 0
    step: int = 10
    grid_pixels: int = 9000
    max_tracks: int = 5000
    point_chunk: int = 16
    max_side: int = 1000
    max_frames: int | None = None
    max_pixels: int = 128_000_000
    window: int | None = 120
    overlap: int = 8
    motion_frames: int | None = None
    dynamic_above: float | None = None
    complete_within: float | None = None
    prompt_step: int = 16
    clicks: int = 1
    background_clicks: int = 0
    click_confidence: float = 0.9
    all_tracks: bool = False
    least_support: float | None = None
    follow_edges: bool = False
    best_three: bool = False
    published_resizing: bool = False

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

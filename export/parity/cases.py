"""The kinds of parity case: how each published network's answers are asked of our graphs.

A case is a file of arrays that a published network gave on weights and images that a rule regenerates
(``random_state`` of weights.py, ``images`` of parity_parts.py). Sizes follow from the arrays, so other sizes are
the same kinds.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from samotion.engines.errors import InputError
from samotion.export.networks import depth_anything, dinov2, tapir, vit
from samotion.export.networks.motion import motion_network
from samotion.export.networks.sam2.sam2_params import OFFICIAL as SAM2_SIZES
from samotion.export.networks.spec import GraphSpec
from samotion.export.networks.tapir.tapir_graphs import TrackHead
from samotion.export.parity.parts import Arrays, Part, Run, images, taken
from samotion.export.parity.sam2_case import sam2
from samotion.export.presets import DEPTHS

PATCH = 14


def kind(name: str, among: Iterable[str]) -> str | None:
    """Return which of the names ``among`` a case's name is, or begins with: the longest."""
    return max((stem for stem in among if name.startswith(stem)), key=len, default=None)


class _UnrefinedHead(TrackHead):
    """The track head with its first guess as one more output."""

    def forward(  # type: ignore[override]
        self, query_low: Tensor, query_high: Tensor, low: Tensor, high: Tensor, points: Tensor
    ) -> tuple[Tensor, ...]:
        """Return xy, occlusion, expected_distance, unrefined xy."""
        guesses = self.model.track(query_low, query_high, low, high, points)[0]
        last = guesses[-1]
        return last.xy, last.occlusion, last.expected_distance, guesses[0].xy


def _tapir_graphs(model: tapir.Tapir) -> list[GraphSpec]:
    *rest, head = tapir.graphs(model)
    return [*rest, replace(head, module=_UnrefinedHead(model), outputs=(*head.outputs, "unrefined"))]


def _tapir(case: Arrays) -> list[Part]:
    side = tapir.OFFICIAL.resolution
    points = taken(case, queries=("N", 3), tracks=("N", "T", 2))["queries"]
    frames = case["tracks"].shape[1]
    own = points[:, 0]
    if not ((own >= 0) & (own < frames) & (own == np.floor(own))).all():
        raise InputError(
            f"array queries asks at times {own.min():g} to {own.max():g}, expected whole ones < {frames}"
        )

    def answer(run: Run, seed: int, _: Any) -> Arrays:
        grids = run("track_features", frames=images("bootstapir/video", frames, (side, side), seed) / 2)
        queries = run("track_queries", **grids, points=points)
        found = run("track_head", **queries, **grids, points=points)
        return {
            "lowres": grids["low"][::3, ::8, ::8],
            "hires": grids["high"][::3, ::16, ::16],
            "tracks": found["xy"],
            "occlusion": found["occlusion"],
            "expected_dist": found["expected_distance"],
            "unrefined_tracks": found["unrefined"],
        }

    return [Part(lambda: tapir.Tapir(tapir.OFFICIAL), _tapir_graphs, answer)]


def _depth(letter: str, case: Arrays) -> list[Part]:
    taken(case, disparity=("B", "h", "w"))

    def answer(run: Run, seed: int, size: Any) -> Arrays:
        image = images("depth_anything/image", len(case["disparity"]), size, seed)
        return {"disparity": run("depth", image=image)["disparity"][:, ::3, ::3]}

    # Every third row and column is kept: one multiple of the patch at most fits each.
    rows, columns = (range(3 * n - 2, 3 * n + 1) for n in case["disparity"].shape[1:])
    sizes = [(h, w) for h in rows for w in columns if h % PATCH == w % PATCH == 0]
    return [Part(DEPTHS[letter].build, depth_anything.graphs, answer, sizes)]


def _semantics(case: Arrays) -> list[Part]:
    def part(name: str, stride: int) -> Part:
        def answer(run: Run, seed: int, size: Any) -> Arrays:
            return {name: run("semantics", image=images("dinov2/image", 1, size, seed))["keys"][0, ::2, ::2]}

        taken(case, **{name: ("h", "w", vit.VIT_B.width)})
        heights, widths = (tuple(_sides(n, stride)) for n in case[name].shape[:2])
        params = vit.VIT_B if stride == vit.VIT_B.stride else replace(dinov2.OFFICIAL, stride=stride)
        sizes = [(h, w) for h in heights for w in widths]
        return Part(lambda: vit.VisionTransformer(params), dinov2.graphs, answer, sizes)

    found = [(name, re.fullmatch(r"keys_stride(0*[1-9]\d?)", name)) for name in case]
    if not any(match for _, match in found):
        raise InputError("array keys_stride7, or of another stride, is missing")
    return [part(name, int(match[1])) for name, match in found if match]


def _sides(cells: int, stride: int) -> Iterator[int]:
    """Yield the sides, multiples of the patch, of which every second of the grid's cells makes ``cells``."""
    for patches in (2 * cells - 1, 2 * cells):
        side = PATCH + stride * (patches - 1)
        yield from (s for s in range(side, side + stride) if s % PATCH == 0)


class _OpenMotion(motion_network.MotionGraph):
    """The motion graph with its channels and its encoded tracks as further outputs."""

    def forward(  # type: ignore[override]
        self,
        xy: Tensor,
        visible: Tensor,
        visibility: Tensor,
        confidence: Tensor,
        disparity: Tensor,
        semantics: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return probability (N,), channels (N, T, 88), encoded (N, 16)."""
        net = self.network
        channels = net.augment(xy, visible, visibility, confidence, net.look_up(xy, disparity))
        encoded = net.joint_encoder(channels, visible)
        return net.decoder(encoded, semantics).sigmoid(), channels, encoded


def _motion_graphs(model: motion_network.MotionNetwork) -> list[GraphSpec]:
    (spec,) = motion_network.graphs(model)
    return [replace(spec, module=_OpenMotion(model), outputs=(*spec.outputs, "channels", "encoded"))]


def _motion(case: Arrays) -> list[Part]:
    track = (1, 1, "N", "T")
    given = taken(
        case,
        traj=(1, 2, "N", "T"),
        hidden=track,
        depth=(1, 1, "H", "W", "T"),
        visibility=track,
        confidence=track,
        dino=(1, motion_network.OFFICIAL.semantics, "N", 1),
    )
    inputs = {
        "xy": given["traj"][0].transpose(1, 2, 0),
        "visible": given["hidden"][0, 0] < 0.5,
        "visibility": given["visibility"][0, 0],
        "confidence": given["confidence"][0, 0],
        "disparity": given["depth"][0, 0].transpose(2, 0, 1),
        "semantics": given["dino"][0, :, :, 0].T,
    }

    def answer(run: Run, *_: Any) -> Arrays:
        found = run("motion", **inputs)
        return {
            "augmented": found["channels"].transpose(2, 0, 1)[::5, ::4],
            "encoded": found["encoded"].T[None],
            "probability": found["probability"][None, None],
        }

    return [Part(lambda: motion_network.MotionNetwork(motion_network.OFFICIAL), _motion_graphs, answer)]


def _sam2_of(stem: str) -> Callable[[Arrays], list[Part]]:
    return lambda case: sam2(stem, case)


def _depth_of(letter: str) -> Callable[[Arrays], list[Part]]:
    return lambda case: _depth(letter, case)


KINDS: dict[str, Callable[[Arrays], list[Part]]] = {
    "bootstapir": _tapir,
    "dinov2_vitb14": _semantics,
    "moseg": _motion,
    **{f"depth_anything_v2_vit{letter}": _depth_of(letter) for letter in DEPTHS},
    **{stem: _sam2_of(stem) for stem in SAM2_SIZES},
}

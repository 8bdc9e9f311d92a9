"""The kinds of parity case: how each published network's answers are asked of our graphs.

A case is a file of arrays that a published network gave on weights and images that a rule regenerates
(``random_state`` of weights.py, ``images`` here). Sizes follow from the arrays, so other sizes are the same kinds.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from samotion.export import depth_anything, dinov2, motion, tapir, vit
from samotion.export.graph import GraphSpec
from samotion.export.presets import DEPTHS
from samotion.export.sam2.graphs import graphs as sam2_graphs
from samotion.export.sam2.model import Sam2
from samotion.export.sam2.params import OFFICIAL as SAM2_SIZES
from samotion.export.sam2.tracking import Answer, Bank
from samotion.export.tapir.graphs import TrackHead

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Run = Callable[..., Arrays]

CLICKS = ((400.0, 520.0), (610.0, 300.0))
PATCH = 14


@dataclass(frozen=True)
class Part:
    """Some of a case's arrays and the network that answers them.

    build: makes the network. graphs: cuts it. answer(run, seed, size): gives the arrays, where
    run(graph, **inputs) runs a graph and size is one of ``sizes``, the image sizes that the arrays leave open.
    """

    build: Callable[[], nn.Module]
    graphs: Callable[[Any], list[GraphSpec]]
    answer: Callable[[Run, int, Any], Arrays]
    sizes: Sequence[Any] = (None,)


def images(name: str, frames: int, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Return the images (frames, 3, *size) of the cases: a coarse pattern that drifts 4 pixels a frame."""
    height, width = size
    rng = np.random.Generator(np.random.Philox(key=[zlib.crc32(name.encode()), seed]))
    coarse = rng.standard_normal((3, height // 8 + 4 + frames, width // 8 + 4 + frames))
    wide = coarse.repeat(8, axis=1).repeat(8, axis=2)
    out = np.stack([wide[:, 4 * t : 4 * t + height, 4 * t : 4 * t + width] for t in range(frames)])
    out = out + 0.1 * rng.standard_normal(out.shape)
    return np.clip(out, -2.0, 2.0).astype(np.float32)


def parts(name: str, case: Arrays) -> list[Part]:
    """Return the parts of a case, or nothing if no network is called ``name`` or the start of it."""
    known = [stem for stem in KINDS if name.startswith(stem)]
    return KINDS[max(known, key=len)](case) if known else []


def network(name: str) -> str | None:
    """Return the name of the network that a case is of, the longest that its own begins with."""
    return max((stem for stem in KINDS if name.startswith(stem)), key=len, default=None)


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
    side, frames, points = tapir.OFFICIAL.resolution, case["tracks"].shape[1], case["queries"]

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

        heights, widths = (tuple(_sides(n, stride)) for n in case[name].shape[:2])
        params = replace(vit.VIT_B, stride=stride)
        sizes = [(h, w) for h in heights for w in widths]
        return Part(lambda: vit.VisionTransformer(params), dinov2.graphs, answer, sizes)

    found = [(name, re.fullmatch(r"keys_stride(\d+)", name)) for name in case]
    return [part(name, int(match[1])) for name, match in found if match]


def _sides(cells: int, stride: int) -> Iterator[int]:
    """Yield the sides, multiples of the patch, of which every second of the grid's cells makes ``cells``."""
    for patches in (2 * cells - 1, 2 * cells):
        side = PATCH + stride * (patches - 1)
        yield from (s for s in range(side, side + stride) if s % PATCH == 0)


class _OpenMotion(motion.MotionGraph):
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


def _motion_graphs(model: motion.MotionNetwork) -> list[GraphSpec]:
    (spec,) = motion.graphs(model)
    return [replace(spec, module=_OpenMotion(model), outputs=(*spec.outputs, "channels", "encoded"))]


def _motion(case: Arrays) -> list[Part]:
    inputs = {
        "xy": case["traj"][0].transpose(1, 2, 0),
        "visible": ~case["hidden"][0, 0],
        "visibility": case["visibility"][0, 0],
        "confidence": case["confidence"][0, 0],
        "disparity": case["depth"][0, 0].transpose(2, 0, 1),
        "semantics": case["dino"][0, :, :, 0].T,
    }

    def answer(run: Run, *_: Any) -> Arrays:
        found = run("motion", **inputs)
        return {
            "augmented": found["channels"].transpose(2, 0, 1)[::5, ::4],
            "encoded": found["encoded"].T[None],
            "probability": found["probability"][None, None],
        }

    return [Part(lambda: motion.MotionNetwork(motion.OFFICIAL), _motion_graphs, answer)]


def _sam2(stem: str, case: Arrays) -> list[Part]:
    # Every second row of a mask with 4 cells for each 16 pixels.
    params = replace(SAM2_SIZES[stem], image_size=8 * len(case["low_res_logits_0"]))
    frames = sum(name.startswith("low_res_logits_") for name in case)

    def answer(run: Run, seed: int, _: Any) -> Arrays:
        video = images("sam2/video", frames, (params.image_size, params.image_size), seed)
        encoded = [run("mask_encoder", image=video[t : t + 1]) for t in range(frames)]
        bank = Bank(frames, params)
        bank.clicked[0] = _answer(run, encoded[0], CLICKS)
        for t in range(1, frames):
            slots = bank.slots(t)._asdict()
            given = {name: value.numpy() for name, value in slots.items()}
            read = run("memory_attention", features=encoded[t]["features"], **given)["conditioned"]
            bank.tracked[t] = _answer(run, {**encoded[t], "conditioned": read}, ())
        found = {
            "fpn0": encoded[0]["high_0"][0, :, ::16, ::16],
            "fpn1": encoded[0]["high_1"][0, ::4, ::8, ::8],
            "fpn2": encoded[0]["features"][0, ::4, ::4, ::4],
        }
        for t, entry in (bank.clicked | bank.tracked).items():
            found |= {f"{name}_{t}": value for name, value in _shown(entry).items()}
        again = _answer(run, encoded[0], CLICKS[:1])
        return found | {f"click_{name}": value for name, value in _shown(again).items()}

    return [Part(lambda: Sam2(params), sam2_graphs, answer)]


def _answer(run: Run, encoded: Arrays, clicks: Sequence[tuple[float, float]]) -> Answer:
    """Decode and remember one object on one frame: clicked, or tracked on ``encoded``'s conditioned features."""
    side = 4 * encoded["features"].shape[-1]
    found = run(
        "mask_decoder",
        features=encoded.get("conditioned", encoded["features"]),
        high_0=encoded["high_0"],
        high_1=encoded["high_1"],
        points=np.array([clicks or [(0, 0)]], np.float32),
        labels=np.array([[1] * len(clicks) or [-1]], np.int64),
        mask_prompt=np.zeros((1, 1, side, side), np.float32),
        has_mask_prompt=np.zeros(1, np.bool_),
        memoryless=np.array([bool(clicks)]),
    )
    # Holes stay: the published code leaves them, too, where its CUDA kernel is missing.
    memory = run(
        "memory_encoder",
        features=encoded["features"],
        mask=found["mask"],
        clicked=np.array([bool(clicks)]),
        object_score=found["object_score"],
    )["memory"]
    return Answer(*map(torch.from_numpy, (found["mask"], found["object_score"], found["pointer"], memory)))


def _shown(entry: Answer) -> Arrays:
    """Return what a case keeps of an answer."""
    return {
        "low_res_logits": entry.mask[0, ::2, ::2].numpy(),
        "obj_ptr": entry.pointer[0].numpy(),
        "object_score": entry.object_score.numpy(),
        "memory": entry.memory[0, ::4, ::4, ::4].numpy(),
    }


def _sam2_of(stem: str) -> Callable[[Arrays], list[Part]]:
    return lambda case: _sam2(stem, case)


def _depth_of(letter: str) -> Callable[[Arrays], list[Part]]:
    return lambda case: _depth(letter, case)


KINDS: dict[str, Callable[[Arrays], list[Part]]] = {
    "bootstapir": _tapir,
    "dinov2_vitb14": _semantics,
    "moseg": _motion,
    **{f"depth_anything_v2_vit{letter}": _depth_of(letter) for letter in DEPTHS},
    **{stem: _sam2_of(stem) for stem in SAM2_SIZES},
}

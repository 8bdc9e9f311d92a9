"""The parity case of SAM2: one object clicked on frame 0 and tracked, any size and number of frames."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from samotion.engines.errors import InputError
from samotion.export.networks.sam2.reference_loop import Answer, Bank
from samotion.export.networks.sam2.sam2_graphs import graphs
from samotion.export.networks.sam2.sam2_model import Sam2
from samotion.export.networks.sam2.sam2_params import OFFICIAL
from samotion.export.parity.parts import Array, Arrays, Part, Run, images, taken
from samotion.runtime.values import Float

CLICKS = ((400.0, 520.0), (610.0, 300.0))
# A case keeps every second row of a mask, which has 4 cells for each 16 pixels; the trunk's coarsest cell is 32.
PIXELS_A_ROW = 8
COARSEST = 32
# A clicked frame's mask is enlarged and cut at 0 before it is remembered. The sign of what is nearer to 0 than this
# part of the largest hangs on the order of sums: some of a million pixels always are.
TIE = 3e-6
MOST_TIES = 16


def sam2(stem: str, case: Arrays) -> list[Part]:
    """Return the one part of a case of the official size ``stem``; raises InputError as ``taken``."""
    rows = len(taken(case, low_res_logits_0=("S", "S"))["low_res_logits_0"])
    if PIXELS_A_ROW * rows % COARSEST:
        raise InputError(f"array low_res_logits_0 has {rows} rows, expected a multiple of {COARSEST // PIXELS_A_ROW}")
    params = replace(OFFICIAL[stem], image_size=PIXELS_A_ROW * rows)
    frames = _frames(case)

    def answer(run: Run, seed: int, _: object) -> Arrays:
        video = images("sam2/video", frames, (params.image_size, params.image_size), seed)
        encoded = [run("mask_encoder", image=video[t : t + 1]) for t in range(frames)]
        bank = Bank(frames, params)
        bank.clicked[0] = _answer(run, encoded[0], CLICKS, case.get("memory_0"))
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
        again = _answer(run, encoded[0], CLICKS[:1], case.get("click_memory"))
        return found | {f"click_{name}": value for name, value in _shown(again).items()}

    return [Part(lambda: Sam2(params), graphs, answer)]


def _frames(case: Arrays) -> int:
    """Return how many frames the arrays speak of: one more than the highest number that a name ends in."""
    ends = (re.fullmatch(r"(?:low_res_logits|obj_ptr|object_score|memory)_(\d{1,6})", name) for name in case)
    return 1 + max(int(end[1]) for end in ends if end)


def _answer(run: Run, encoded: Arrays, clicks: Sequence[tuple[float, float]], wanted: Array | None = None) -> Answer:
    """Decode and remember one object on one frame: clicked, or tracked on ``encoded``'s conditioned features.

    wanted: what the case keeps of the memory, by which ties in the mask are broken.
    """
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
    mask = np.asarray(found["mask"], np.float32)

    def memory_of(mask: Float) -> Array:
        # Holes stay: the published code leaves them, too, where its CUDA kernel is missing.
        clicked, score = np.array([bool(clicks)]), found["object_score"]
        answer = run("memory_encoder", features=encoded["features"], mask=mask, clicked=clicked, object_score=score)
        return answer["memory"]

    memory = memory_of(mask)
    if wanted is not None and wanted.shape == _kept(memory).shape:
        memory = _nearest(memory, mask, memory_of, wanted)
    return Answer(*map(torch.from_numpy, (found["mask"], found["object_score"], found["pointer"], memory)))


def _nearest(memory: Array, mask: Float, memory_of: Callable[[Float], Array], wanted: Array) -> Array:
    """Return the memory nearest to ``wanted`` that another sign of the mask's ties gives, one tie after the other."""
    best = _apart(memory, wanted)
    for tie, cell in _ties(mask):
        other = mask.copy()
        other[cell] -= np.float32(tie)
        found = memory_of(other)
        if (distance := _apart(found, wanted)) < best:
            memory, mask, best = found, other, distance
    return memory


def _ties(mask: Float) -> list[tuple[float, tuple[int, ...]]]:
    """Return for each tie of a mask (1, h, w) what to take from which of its cells to turn the tie's sign."""
    side = PIXELS_A_ROW * mask.shape[-1] // 2
    large = functional.interpolate(torch.from_numpy(mask[None]), (side, side), mode="bilinear", align_corners=False)
    values = large[0, 0].numpy()
    order = np.abs(values).argsort(axis=None)[:MOST_TIES]
    ties = [np.unravel_index(place, values.shape) for place in order]
    scale = side // mask.shape[-1]
    # The nearest of the four cells that a pixel is made of has at least 0.39 of it.
    return [
        (4 * float(values[y, x]) + float(np.copysign(1e-7, values[y, x])), (0, int(y) // scale, int(x) // scale))
        for y, x in ties
        if abs(values[y, x]) < TIE * np.abs(values).max()
    ]


def _apart(memory: Array, wanted: Array) -> float:
    """Return how far what a case keeps of a memory is from the one wanted."""
    return float(np.linalg.norm(np.asarray(_kept(memory), np.float64) - np.asarray(wanted, np.float64)))


def _kept(memory: Array) -> Array:
    """Return what a case keeps of a memory (1, C, h, w)."""
    return memory[0, ::4, ::4, ::4]


def _shown(entry: Answer) -> Arrays:
    """Return what a case keeps of an answer."""
    return {
        "low_res_logits": entry.mask[0, ::2, ::2].numpy(),
        "obj_ptr": entry.pointer[0].numpy(),
        "object_score": entry.object_score.numpy(),
        "memory": _kept(entry.memory.numpy()),
    }

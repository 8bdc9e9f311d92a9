from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.runtime.ops.guided_filter import RADIUS, Edges, enlarger
from samotion.runtime.values import Bool, Bytes, Clip, Float


def iou(a: Bool, b: Bool) -> float:
    return float((a & b).sum() / (a | b).sum())


def scene(height: int, width: int, grey: bool) -> tuple[Bytes, Bool]:
    """A disc of another colour (or another grey) with some noise, and where it is."""
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - height / 2, x - width / 2) < height / 4
    colours = ((120, 120, 120), (60, 60, 60)) if grey else ((200, 180, 60), (20, 60, 150))
    frame = np.where(disc[..., None], *np.array(colours)[::-1])
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    return (frame + noise).clip(0, 255).astype(np.uint8), np.asarray(disc)


def alone(frame: Bytes) -> Clip:
    index = np.zeros(1, np.int64)
    return Clip("one", frame[None], Fraction(25), frame.shape[:2], index, 1, index / 25.0)


def coarse(truth: Bool, side: int = 64) -> Float:
    """Logits of ``truth`` at low resolution, two cells out of place."""
    height, width = truth.shape
    rows, columns = np.arange(side) * height // side, np.arange(side) * width // side
    return np.where(np.roll(truth[np.ix_(rows, columns)], 2, (0, 1)), 3, -3).astype(np.float32)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", [(480, 854), (300, 200), (90, 160)])
def test_outlines_move_to_the_edges(size: tuple[int, int], grey: bool) -> None:
    frame, truth = scene(*size, grey)
    logits = coarse(truth)
    plain, refined = (enlarger(alone(frame), follow)(0, logits) for follow in (False, True))
    assert plain.shape == refined.shape == truth.shape
    assert iou(plain, truth) < 0.85
    assert iou(refined, truth) > iou(plain, truth) + 0.06


def test_a_flat_frame_changes_no_more_than_a_blur() -> None:
    truth = np.zeros((160, 160), np.bool_)
    truth[50:110, 40:120] = True
    flat = np.full((160, 160, 3), 77, np.uint8)
    plain = enlarger(alone(flat), False)(0, coarse(truth))
    found = Edges(flat).refined(coarse(truth))
    assert iou(found, plain) > 0.9
    assert found[80, 80]
    assert not found[: 50 - 2 * RADIUS].any()


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    side=st.integers(1, 9),
    fill=st.sampled_from([-np.inf, np.inf, -1e30, 1e30]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_certain_answers_stay(height: int, width: int, side: int, fill: float, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    found = Edges(frame).refined(np.full((side, side), fill, np.float32))
    assert found.shape == (height, width)
    assert found.all() if fill > 0 else not found.any()

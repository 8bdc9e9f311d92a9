"""The mask kernels, run on the CPU, against the runtime's functions and twins: bit by bit."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support import kernel_twins
from tests.support.gpu.kernels_host import Host, Place
from tests.support.opencv_code import own_code

from samotion.runtime.kernels import masks, tables
from samotion.runtime.ops import reference
from samotion.runtime.values import Bool, Float

SIDES = st.integers(1, 12)
LOGITS = st.one_of(st.sampled_from([-1.0, 1.0, 0.0, -0.0, np.nan, np.inf, -np.inf]), st.floats(-9, 9, width=32))
ORDERS = st.integers(0, 2)


@st.composite
def logits_of(draw: st.DrawFn) -> Float:
    shape = draw(st.integers(0, 3)), draw(SIDES), draw(SIDES)
    found: Float = draw(arrays.arrays(np.float32, shape, elements=LOGITS, fill=st.sampled_from([-1.0, 1.0])))
    return found


def filled(logits: Float, place: Place) -> Float:
    out = place.allocate(masks.hole_buffers(*logits.shape))
    masks.fill_holes(place, place.put(logits), out)
    return place.take(out["filled"])


def compare_holes(logits: Float, place: Place) -> None:
    wanted = [reference.fill_holes(mask) for mask in logits]
    for found, twin in zip(filled(logits, place), wanted, strict=True):
        assert found.tobytes() == twin.tobytes()


@settings(deadline=None, max_examples=150)
@given(logits_of(), ORDERS)
def test_small_holes_are_those_of_the_runtime(logits: Float, order: int) -> None:
    compare_holes(logits, Host(order))


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0])
def test_islands_of_every_size_and_shape(share: float) -> None:
    rng = np.random.default_rng(0)
    logits = np.where(rng.random((2, 67, 93)) < share, -1, 1).astype(np.float32)
    for order in range(3):
        compare_holes(logits, Host(order))


def test_a_snake_is_one_island() -> None:
    logits = np.ones((1, 33, 32), np.float32)
    logits[0, ::2] = -1  # rows, joined at alternate ends
    logits[0, 1::4, -1] = logits[0, 3::4, 0] = -1
    for order in range(3):
        np.testing.assert_array_equal(filled(logits, Host(order)), logits)


def test_eight_pixels_are_filled_and_nine_are_not() -> None:
    logits = np.ones((1, 5, 20), np.float32)
    logits[0, 1, 1:9] = logits[0, 3, 5:14] = -2
    found = filled(logits, Host())
    assert (found[0, 1] == np.where(logits[0, 1] < 0, reference.FILLED, 1)).all()
    assert (found[0, 3] == logits[0, 3]).all()


def enlarged(logits: Float, height: int, width: int, place: Place) -> Bool:
    made = (*tables.linear(logits.shape[2], width), *tables.linear(logits.shape[1], height, sides=False))
    across, rows, down = (place.put(array) for array in made[1:])
    out = place.allocate({"masks": ((len(logits), height, width), np.bool_)})["masks"]
    masks.enlarge(place, place.put(logits), (place.put(made[0]), across, rows, down), out)
    return place.take(out)


@settings(deadline=None, max_examples=100)
@given(logits_of(), st.integers(1, 30), st.integers(1, 30), ORDERS)
def test_enlarged_masks_are_those_of_the_twin(logits: Float, height: int, width: int, order: int) -> None:
    with np.errstate(invalid="ignore"):
        wanted = kernel_twins.enlarged_masks(logits, height, width)
    assert enlarged(logits, height, width, Host(order)).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("size", [(96, 171), (50, 64), (64, 64), (20, 33)])
def test_enlarged_masks_are_opencv_s(size: tuple[int, int]) -> None:
    """Its own code's; the library that it calls on Intel's processors where it may computes places less exactly."""
    logits = np.random.default_rng(1).normal(0, 4, (3, 32, 48)).astype(np.float32)
    found = enlarged(logits, *size, Host())
    with own_code():
        own = np.stack([cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR) for mask in logits])
    default = np.stack([cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR) for mask in logits])
    assert not (found != (own > 0))[np.abs(own) > 1e-5].any()
    assert not (found != (default > 0))[np.abs(own) > 1e-3].any()
    assert (found != (default > 0)).mean() < 1e-3

"""The disparity kernels, run on the CPU, against the runtime's, OpenCV's own: every bit but the sign of 0."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support.gpu.kernels_host import Host, Place
from tests.support.opencv_code import own_code

from samotion.runtime.kernels import depth, tables
from samotion.runtime.ops.reference import unit_disparity
from samotion.runtime.values import Float

SIDES = st.integers(1, 12)
LIMITS = [0.0, -0.0, np.nan, np.inf, -np.inf, *(float(np.float32(x)) for x in (3e38, -3e38, 1e-7))]
VALUES = st.one_of(st.floats(0, 50, width=32), st.sampled_from(LIMITS))


@pytest.fixture(scope="module", autouse=True)
def opencv_s_own() -> Iterator[None]:
    with own_code():
        yield


def by_kernel(found: Float, size: tuple[int, int], place: Place) -> Float:
    made = (*tables.cubic(found.shape[2], size[1]), *tables.cubic(found.shape[1], size[0]))
    across, across_weight, down, down_weight = (place.put(array) for array in made)
    out = place.allocate({**depth.buffers(len(found)), "values": ((len(found), *size), np.float32)})
    parts = (across, across_weight, down, down_weight)
    depth.unit_disparity(place, place.put(found), parts, out["extremes"], out["values"])
    return place.take(out["values"])


def compare(found: Float, size: tuple[int, int], place: Place) -> None:
    wanted = np.empty((len(found), *size), np.float32)
    with np.errstate(all="ignore"):
        unit_disparity(found, wanted)
    np.testing.assert_array_equal(by_kernel(found, size, place), wanted)


@st.composite
def maps(draw: st.DrawFn) -> Float:
    shape = draw(st.integers(1, 3)), draw(SIDES), draw(SIDES)
    found: Float = draw(arrays.arrays(np.float32, shape, elements=VALUES, fill=st.floats(0, 9, width=32)))
    return found


@settings(deadline=None, max_examples=150)
@given(maps(), st.tuples(st.integers(1, 30), st.integers(1, 30)), st.integers(0, 2))
def test_disparity_is_the_runtime_s(found: Float, size: tuple[int, int], order: int) -> None:
    compare(found, size, Host(order))


@pytest.mark.parametrize("size", [(48, 85), (96, 171), (20, 33), (42, 70)])
def test_a_network_s_map_at_every_size(size: tuple[int, int]) -> None:
    found = np.random.default_rng(0).gamma(2, 3, (2, 42, 70)).astype(np.float32)
    compare(found, size, Host())
    values = by_kernel(found, size, Host())
    assert values.min() == 0
    assert values.max() == 1


def test_a_flat_map_is_nought() -> None:
    assert not by_kernel(np.zeros((1, 4, 5), np.float32), (9, 8), Host()).any()
    assert not by_kernel(np.full((1, 4, 5), 7, np.float32), (4, 5), Host()).any()  # enlarged, 7 would be a bit off

"""The resizing kernel, run on the CPU: every bit of its twin's planes, and the twin beside the runtime's own."""

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support import kernel_twins, opencv_code
from tests.support.gpu.kernels_host import Host, Place

from samotion.runtime.kernels import resizing
from samotion.runtime.kernels.resizing import ResizeSet
from samotion.runtime.ops.resize import network_input
from samotion.runtime.values import Bytes, Float

NETWORKS = get_args(resizing.Network)
SIDES = st.integers(1, 24)
SIZES = [(25, 25), (24, 42), (16, 17), (64, 64), (51, 89), (48, 84), (48, 30), (96, 42)]
FRAME = np.random.default_rng(0).integers(0, 256, (48, 84, 3), np.uint8)


def by_kernel(frame: Bytes, made: resizing.Recipe, place: Place) -> Float:
    planes = place.allocate({"planes": ((3, *made.size), np.float32)})["planes"]
    resizing.resize(place, place.put(frame), made, tuple(place.put(array) for array in made.arrays), planes)
    return place.take(planes)


@pytest.fixture
def own_code() -> Iterator[None]:
    with opencv_code.own_code():
        yield


@st.composite
def frames(draw: st.DrawFn) -> Bytes:
    shape = draw(SIDES), draw(SIDES), 3
    found: Bytes = draw(arrays.arrays(np.uint8, shape, fill=st.sampled_from([0, 255])))
    return found


@settings(deadline=None, max_examples=150)
@given(frames(), st.tuples(SIDES, SIDES), st.sampled_from(NETWORKS), st.sampled_from(ResizeSet), st.integers(0, 2))
def test_every_bit_is_the_twin_s(
    frame: Bytes, size: tuple[int, int], network: resizing.Network, resize: ResizeSet, order: int
) -> None:
    made = resizing.recipe(frame.shape[:2], size, network, resize)
    assert by_kernel(frame, made, Host(order)).tobytes() == kernel_twins.planes(frame, made).tobytes()


@pytest.mark.usefixtures("own_code")
@pytest.mark.parametrize("resize", list(ResizeSet))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", SIZES)
def test_what_the_runtime_makes_of_a_frame(
    size: tuple[int, int], network: resizing.Network, resize: ResizeSet
) -> None:
    found = kernel_twins.planes(FRAME, resizing.recipe((48, 84), size, network, resize))
    wanted = network_input(network, resize, FRAME[None], size)[0]
    if resize is ResizeSet.PUBLISHED and network == "semantics":
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", SIZES)
def test_opencv_s_fast_library_is_a_level_off_at_most(size: tuple[int, int], network: resizing.Network) -> None:
    made = resizing.recipe((48, 84), size, network, ResizeSet.OURS)
    off = np.abs(kernel_twins.planes(FRAME, made) - network_input(network, ResizeSet.OURS, FRAME[None], size)[0])
    level = np.diff(made.levels, axis=1).max(axis=1)[:, None, None]
    assert (off <= 1.001 * level).all()
    assert (off > 0).mean() < (0.06 if network == "depth" else 1e-12)


def test_an_area_of_halves_rounds_as_opencv_does() -> None:
    frame = np.zeros((4, 12, 3), np.uint8)
    frame[0, ::2] = np.arange(1, 7)[:, None]
    for size in ((2, 6), (1, 3), (4, 6), (2, 12)):
        made = resizing.recipe((4, 12), size, "tracker", ResizeSet.OURS)
        assert made.rule == resizing.MEAN_OF
        wanted = network_input("tracker", ResizeSet.OURS, frame[None], size)[0]
        np.testing.assert_array_equal(by_kernel(frame, made, Host()), wanted)

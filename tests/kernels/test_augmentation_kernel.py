"""The augmentation kernels, run on the CPU, against their twins, and those against the motion network itself."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support.kernels_host import Host, Place

from samotion.export.networks.motion.motion_network import NANO, MotionNetwork, MotionParams
from samotion.runtime.kernels import augmentation, twins
from samotion.runtime.ops.reference import normalised_xy
from samotion.runtime.values import Bool, Float

ULP = 2  # of sin and cos: what CUDA's sinf and cosf promise
WAVES = np.r_[2:42, 44:84]
EXACT = np.setdiff1d(np.arange(augmentation.CHANNELS), WAVES)
PLACES = st.one_of(st.floats(-1, 1, width=32), st.sampled_from([-1.0, 1.0, 0.0, -0.0]))
# 1e36 is one that the last octaves take beyond float32.
ANYTHING = st.one_of(PLACES, st.floats(width=32), st.sampled_from([float(np.float32(1e36)), np.inf, -np.inf, np.nan]))
Case = tuple[Float, Bool, Float, Float, Float]


@st.composite
def cases(draw: st.DrawFn, numbers: st.SearchStrategy[float] = ANYTHING) -> Case:
    size = draw(st.integers(0, 5)), draw(st.integers(1, 4))
    xy = draw(arrays.arrays(np.float32, (*size, 2), elements=numbers))
    visible = draw(arrays.arrays(np.bool_, size))
    visibility, confidence = (draw(arrays.arrays(np.float32, size, elements=numbers)) for _ in range(2))
    maps = size[1], draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return xy, visible, visibility, confidence, draw(arrays.arrays(np.float32, maps, elements=numbers))


def by_kernel(case: Case, as_trained: bool, place: Place) -> Float:
    size = case[1].shape
    out = place.allocate({"depth": (size, np.float32), "channels": ((*size, augmentation.CHANNELS), np.float32)})
    xy, visible, visibility, confidence, disparity = (place.put(values) for values in case)
    trusts = visibility, confidence
    augmentation.augment(place, xy, visible, *trusts, disparity, as_trained, out["depth"], out["channels"])
    return place.take(out["channels"])


@settings(deadline=None, max_examples=150)
@given(cases(), st.booleans(), st.integers(0, 2))
def test_channels_are_the_twin_s(case: Case, as_trained: bool, order: int) -> None:
    compare(case, as_trained, Host(order))


def compare(case: Case, as_trained: bool, place: Place) -> None:
    found = by_kernel(case, as_trained, place)
    with np.errstate(invalid="ignore", over="ignore"):
        wanted = twins.augmented(*case, as_trained)
    np.testing.assert_array_equal(found[..., EXACT], wanted[..., EXACT])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    sure = ~np.isnan(wanted)
    sure[..., EXACT] = False
    np.testing.assert_array_max_ulp(found[sure], wanted[sure], ULP)


@settings(deadline=None, max_examples=60)
@given(cases(PLACES), st.booleans())
def test_the_twin_is_the_network_s(case: Case, as_trained: bool) -> None:
    network = MotionNetwork(MotionParams(**{**vars(NANO), "depth_as_trained": as_trained}))
    xy, visible, visibility, confidence, disparity = (torch.from_numpy(values) for values in case)
    wanted = network.augment(xy, visible, visibility, confidence, network.look_up(xy, disparity)).numpy()
    found = twins.augmented(*case, as_trained)
    np.testing.assert_array_equal(found[..., EXACT], wanted[..., EXACT])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-7)


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(np.float32, (3, 2, 2), elements=st.one_of(st.floats(-50, 2000, width=32), ANYTHING)),
    st.tuples(*[st.integers(16, 1000)] * 2),
)
def test_pixels_are_normalised_as_in_the_runtime(xy: Float, size: tuple[int, int]) -> None:
    compare_normalised(xy, size, Host())


def compare_normalised(xy: Float, size: tuple[int, int], place: Place) -> None:
    out = place.allocate({"xy": (xy.shape, np.float32)})["xy"]
    augmentation.normalise(place, place.put(xy), size, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(place.take(out), normalised_xy(xy, size))

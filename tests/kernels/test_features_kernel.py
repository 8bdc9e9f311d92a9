"""The feature sampling kernel, run on the CPU, against the runtime's: bit by bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support.gpu.kernels_host import Host, Place

from samotion.runtime.kernels import features
from samotion.runtime.ops.reference import cells
from samotion.runtime.values import Float, Int

FLOATS = st.floats(width=32)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Float, Float, Int, tuple[int, int]]:
    grid = draw(st.tuples(*[st.integers(1, 6)] * 3))
    size = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    tracks, frames = draw(st.integers(0, 8)), draw(st.integers(1, 4))
    places = st.one_of(st.floats(0, 95, width=32), st.sampled_from([0.0, size[0] - 1.0, size[1] - 1.0]), FLOATS)
    xy = draw(arrays.arrays(np.float32, (tracks, frames, 2), elements=places))
    values = draw(arrays.arrays(np.float32, grid, elements=FLOATS))
    return values, xy, draw(arrays.arrays(np.int64, tracks, elements=st.integers(0, frames - 1))), size


@settings(deadline=None, max_examples=100)
@given(cases(), st.integers(0, 2))
def test_every_track_reads_the_runtime_s_cell(case: tuple[Float, Float, Int, tuple[int, int]], order: int) -> None:
    compare(case, Host(order))


def compare(case: tuple[Float, Float, Int, tuple[int, int]], place: Place) -> None:
    grid, xy, query_frame, size = case
    values = place.allocate({"values": ((len(xy), grid.shape[-1]), np.float32)})["values"]
    wanted = place.take(values).copy()
    there = place.put(grid), place.put(xy), place.put(query_frame)
    for frame in range(xy.shape[1]):
        own = np.flatnonzero(query_frame == frame)
        # What is not finite or beyond an int64: NumPy warns of it and, on x86, makes the least integer of it.
        with np.errstate(invalid="ignore", over="ignore"):
            wanted[own] = cells(grid, xy[own, frame], size)
        features.sample(place, *there, frame, size, values)
        assert place.take(values).tobytes() == wanted.tobytes()

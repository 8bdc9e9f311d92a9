"""The kernel that brings memories together, run on the CPU, against the runtime's: bit by bit."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support.gpu.kernels_host import Host, Place

from samotion.runtime.kernels import memory
from samotion.runtime.ops.reference import padded
from samotion.runtime.values import Float


@st.composite
def banks(draw: st.DrawFn) -> tuple[list[list[Float]], tuple[int, ...]]:
    """Rows of up to four objects, and room for as many as the fullest has or more."""
    row = draw(st.tuples(*[st.integers(1, 4)] * draw(st.integers(1, 3))))
    values = arrays.arrays(np.float32, row, elements=st.floats(width=32))
    rows = draw(st.lists(st.lists(values, max_size=4), min_size=1, max_size=4))
    return rows, (max(map(len, rows)) + draw(st.integers(0, 2)), *row)


@settings(deadline=None, max_examples=100)
@given(banks(), st.integers(0, 2))
def test_memories_are_brought_together_as_in_the_runtime(
    case: tuple[list[list[Float]], tuple[int, ...]], order: int
) -> None:
    compare(*case, Host(order))


def compare(rows: list[list[Float]], shape: tuple[int, ...], place: Place) -> None:
    there = [[place.put(row) for row in own] for own in rows]
    addresses = np.zeros((len(rows), shape[0]), np.uint64)
    for k, own in enumerate(there):
        addresses[k, : len(own)] = [place.address(row) for row in own]
    out = place.allocate({"out": ((len(rows), *shape), np.float32)})["out"]
    memory.gather(place, place.put(addresses), out)
    assert place.take(out).tobytes() == padded(rows, shape).tobytes()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([np.bool_, np.float32]),
    st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(1, 2)),
    st.integers(1, 5),
    st.data(),
)
def test_frames_are_taken_at_a_pace(kind: type, shape: tuple[int, int, int], pace: int, data: st.DataObject) -> None:
    source: np.ndarray[Any, Any] = np.random.default_rng(0).integers(0, 2, shape).astype(kind)
    compare_every(source, data.draw(st.integers(0, min(pace, shape[1]) - 1)), pace, Host())


def compare_every(source: np.ndarray[Any, Any], first: int, pace: int, place: Place) -> None:
    wanted = source[:, first::pace]
    out = place.allocate({"out": (wanted.shape, wanted.dtype.type)})["out"]
    memory.every(place, place.put(source), first, pace, out)
    np.testing.assert_array_equal(place.take(out), wanted)

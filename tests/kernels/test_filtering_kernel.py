"""The filtering kernels, run on the CPU, against the runtime's filter_tracks: every bit of every array."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.support.gpu.kernels_host import Host, Place

from samotion.runtime.kernels import filtering
from samotion.runtime.ops.reference import in_frame, normalised_xy
from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.values import Float, Int

FLOATS = st.floats(width=32)  # NaN, infinities and denormals among them
LOGITS = st.one_of(st.floats(-4, 4, width=32), st.sampled_from([-50.0, 50.0, -0.0, 88.0, 104.0, np.nan]), FLOATS)
Case = tuple[Float, Float, Float, Int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.integers(0, 9)), draw(st.integers(1, 5))
    occlusion, distance = (draw(arrays.arrays(np.float32, size, elements=LOGITS)) for _ in range(2))
    xy = draw(arrays.arrays(np.float32, (*size, 2), elements=st.one_of(st.floats(0, 900, width=32), FLOATS)))
    return xy, occlusion, distance, np.arange(size[0], dtype=np.int64)[::-1].copy()


def compare(case: Case, place: Place) -> int:
    tracks, frames = case[1].shape
    out = place.allocate(filtering.buffers(tracks, frames))
    xy, occlusion, distance, query_frame = (place.put(values) for values in case)
    filtering.run(place, xy, occlusion, distance, query_frame, out)
    with np.errstate(under="ignore"):
        wanted = filter_tracks(*case)
    count = int(place.take(out["rank"])[tracks])
    assert count == len(wanted.xy)
    for name in ("xy", "visible", "visibility", "confidence", "query_frame"):
        found, twin = place.take(out[name])[:count], getattr(wanted, name)
        assert found.tobytes() == twin.tobytes(), f"{name}: {found} is not {twin}"
    return count


@settings(deadline=None, max_examples=150)
@given(cases(), st.integers(0, 2))
def test_every_bit_is_the_runtime_s(case: Case, order: int) -> None:
    compare(case, Host(order))


@pytest.mark.parametrize("tracks", [1, 63, 64, 65, 300])
def test_many_tracks_are_compacted_in_order(tracks: int) -> None:
    case = many(tracks)
    counts = {compare(case, Host(order)) for order in range(3)}
    assert len(counts) == 1
    assert tracks < 60 or 0 < counts.pop() < tracks


def many(tracks: int) -> Case:
    rng = np.random.default_rng(tracks)
    occlusion, distance = rng.normal(2, 3, (2, tracks, 7)).astype(np.float32)
    occlusion[:, 3] = np.abs(occlusion[:, 3])  # nobody is visible there: the best track is made so
    return rng.random((tracks, 7, 2), np.float32) * 400, occlusion, distance, rng.integers(0, 7, tracks)


def test_equally_confident_tracks_leave_the_first_one() -> None:
    occlusion = np.array([[-9, 9], [-9, 9], [-9, 9]], np.float32)
    distance = np.full((3, 2), -2, np.float32)
    out = (place := Host(2)).allocate(filtering.buffers(3, 2))
    filtering.run(place, np.ones((3, 2, 2), np.float32), occlusion, distance, np.arange(3), out)
    assert out["visible"].tolist() == [[True, True], [True, False], [True, False]]


def test_a_point_that_is_not_sound_is_made_visible_only_where_there_is_no_other() -> None:
    occlusion = np.array([[-9, np.nan, np.nan], [-9, 9, np.nan]], np.float32)
    case = np.ones((2, 3, 2), np.float32), occlusion, np.array([[-9, -9, -9], [-9, 9, -9]], np.float32), np.arange(2)
    out = (place := Host()).allocate(filtering.buffers(2, 3))
    filtering.run(place, *case, out)
    assert out["visible"].tolist() == [[True, False, True], [True, True, False]]
    compare(case, place)


def test_the_exponential_has_numpy_s_roundings() -> None:
    """Where NumPy computes float32 exp by itself (x86 with AVX2) and not by the C library."""
    logits = np.linspace(-110, 110, 400_001, dtype=np.float32)[None]
    xy, sure = np.zeros((*logits.shape, 2), np.float32), np.full_like(logits, -200)
    out = (place := Host()).allocate(filtering.buffers(*logits.shape))
    filtering.run(place, xy, logits, sure, np.zeros(1, np.int64), out)
    np.testing.assert_array_equal(
        out["visibility"], filter_tracks(xy, logits, sure, np.zeros(1, np.int64)).visibility
    )


@st.composite
def followed(draw: st.DrawFn) -> tuple[Float, Float, Float]:
    """Tracks in the tracker's pixels, the queries (t, y, x) that they come from, and the scale between."""
    tracks, frames = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    queries = draw(arrays.arrays(np.float32, (tracks, 3), elements=st.floats(0, 999, width=32)))
    queries[:, 0] = draw(arrays.arrays(np.int64, tracks, elements=st.integers(0, frames - 1)))
    scale = np.array(draw(st.tuples(*[st.floats(0.125, 9, width=32)] * 2)), np.float32)
    return draw(arrays.arrays(np.float32, (tracks, frames, 2), elements=FLOATS)), queries, scale


@settings(deadline=None, max_examples=100)
@given(followed(), st.integers(0, 2))
def test_tracks_are_brought_to_the_frame_as_in_the_runtime(case: tuple[Float, Float, Float], order: int) -> None:
    compare_in_frame(case, Host(order))


def compare_in_frame(case: tuple[Float, Float, Float], place: Place) -> None:
    xy, queries, scale = case
    there = place.put(xy.copy())
    filtering.in_frame(place, there, place.put(queries), (float(scale[0]), float(scale[1])))
    with np.errstate(over="ignore", under="ignore"):
        in_frame(xy, queries, scale)
    np.testing.assert_array_equal(place.take(there), xy)


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(np.float32, (3, 2, 2), elements=st.one_of(st.floats(-50, 2000, width=32), FLOATS)),
    st.tuples(*[st.integers(16, 1000)] * 2),
)
def test_pixels_are_normalised_as_in_the_runtime(xy: Float, size: tuple[int, int]) -> None:
    compare_normalised(xy, size, Host())


def compare_normalised(xy: Float, size: tuple[int, int], place: Place) -> None:
    out = place.allocate({"xy": (xy.shape, np.float32)})["xy"]
    filtering.normalise(place, place.put(xy), size, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(place.take(out), normalised_xy(xy, size))

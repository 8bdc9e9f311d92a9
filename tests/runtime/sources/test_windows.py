"""Cutting a source into windows: every frame once, shared frames twice, never a tiny last window."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.engines.errors import InputError, SettingsError
from samotion.runtime.settings import Settings
from samotion.runtime.sources import windows
from samotion.runtime.sources.source import Frame, Source
from samotion.runtime.sources.windows import Window, cut, windows_of
from samotion.runtime.values import Bytes, Clip

no_hurry = settings(deadline=None, max_examples=50)


class Numbers(Source):
    """Frames that show their own number, at the times that are given."""

    def __init__(self, times: list[float | None], how: Settings) -> None:
        super().__init__("numbers", "numbers", None, how)
        self._times = times

    @property
    def fps(self) -> Fraction:
        return Fraction(10)

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        for number, time in enumerate(self._times):
            yield np.full((16, 16, 3), number % 256, np.uint8), time, str(number)


def cut_all(count: int, how: Settings, times: list[float | None] | None = None) -> list[Window]:
    source = Numbers(times or [None] * count, how)
    return list(cut(source, source.frames(), how))


lengths = st.integers(1, 8).flatmap(lambda o: st.tuples(st.integers(2 * o, 40), st.just(o)))


@no_hurry
@given(count=st.integers(1, 200), lengths=lengths)
def test_every_frame_is_new_in_one_window(count: int, lengths: tuple[int, int]) -> None:
    length, overlap = lengths
    found = cut_all(count, Settings(window=length, overlap=overlap))
    new = [i for w in found for i in w.clip.source_index[w.shared :].tolist()]
    assert new == list(range(count))
    for w in found:
        numbers = np.arange(w.start, w.start + len(w.clip.frames))
        assert w.clip.source_index.tolist() == numbers.tolist()
        assert np.array_equal(w.clip.frames[:, 0, 0, 0], numbers % 256)
        assert np.allclose(w.clip.times, numbers / 10)
        assert len(numbers) <= length
        assert w.shared >= (overlap if w.start else 0)
        assert w.shared < len(numbers)
    assert [w.start for w in found[:1]] == [0]
    assert all(len(w.clip.frames) == length and w.shared == overlap for w in found[1:-1])
    assert len(found[-1].clip.frames) >= min(count, length // 2)
    assert found[-1].clip.source_count == count


@no_hurry
@given(count=st.integers(1, 100), lengths=lengths)
def test_no_more_windows_than_needed(count: int, lengths: tuple[int, int]) -> None:
    length, overlap = lengths
    found = cut_all(count, Settings(window=length, overlap=overlap))
    assert len(found) == 1 + max(0, -(-(count - length) // (length - overlap)))


@no_hurry
@given(count=st.integers(1, 60), lengths=lengths)
def test_a_clip_in_memory_is_cut_alike(count: int, lengths: tuple[int, int]) -> None:
    how = Settings(window=lengths[0], overlap=lengths[1])
    (whole,) = cut_all(count, Settings(window=None))
    wanted, found = cut_all(count, how), list(windows_of(whole.clip, how))
    assert [(w.start, w.shared) for w in found] == [(w.start, w.shared) for w in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.array_equal(ours.clip.frames, theirs.clip.frames)
        assert np.allclose(ours.clip.times, theirs.clip.times)
        assert ours.clip.source_index.tolist() == theirs.clip.source_index.tolist()


@pytest.mark.parametrize("window", [None, 0, 5, 6])
def test_a_clip_within_a_window_is_not_touched(window: int | None) -> None:
    index = np.arange(5)
    clip = Clip("c", np.zeros((5, 16, 16, 3), np.uint8), Fraction(5), (16, 16), index, 5, index / 5)
    (found,) = windows_of(clip, Settings(window=window, overlap=2))
    assert found.clip is clip
    assert (found.start, found.shared) == (0, 0)


def test_each_window_comes_as_soon_as_it_is_full() -> None:
    how = Settings(window=6, overlap=2)
    source = Numbers([None] * 20, how)
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in source.frames():
            read += 1
            yield frame

    seen = []
    for w in cut(source, counted(), how):
        seen.append((w.clip.source_index[-1] + 1, read))
    assert seen[:3] == [(6, 6), (10, 10), (14, 14)]


def test_stated_times_are_kept_across_windows() -> None:
    times: list[float | None] = [5 + 0.1 * n + 0.01 * (n % 3) for n in range(20)]
    found = cut_all(20, Settings(window=6, overlap=2), times)
    for w in found:
        assert np.allclose(w.clip.times, [times[i] - 5 for i in w.clip.source_index])


@pytest.mark.parametrize("bad", [None, 0.3])
def test_times_go_on_evenly_from_where_they_are_wrong(bad: float | None) -> None:
    times: list[float | None] = [0.2 * n for n in range(20)]
    times[12] = bad
    found = cut_all(20, Settings(window=6, overlap=2), times)
    all_times = {int(i): t for w in found for i, t in zip(w.clip.source_index, w.clip.times, strict=True)}
    assert np.allclose([all_times[i] for i in range(10)], np.arange(10) * 0.2)
    # The third window's new frames, from 10 on, follow at the rate of ten a second.
    assert np.allclose([all_times[i] for i in range(10, 20)], 9 * 0.2 + np.arange(1, 11) * 0.1)


def test_a_window_that_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "machine_memory", lambda: 16 * 16 * 3 * 30)
    assert len(cut_all(40, Settings(window=10, overlap=2))) == 5
    with pytest.raises(InputError, match="--window 15"):
        cut_all(40, Settings(window=20, overlap=2))


@pytest.mark.parametrize(("window", "overlap"), [(15, 8), (3, 2), (-1, 1), (10, 0)])
def test_windows_that_overlap_too_much(window: int, overlap: int) -> None:
    with pytest.raises(SettingsError, match="expected"):
        Settings(window=window, overlap=overlap)

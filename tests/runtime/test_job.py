"""One input in pieces: what is written as it goes, in bounded memory, and what an interrupt leaves."""

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime import job
from samotion.runtime.job import Job, process
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.windows import Window
from samotion.runtime.values import Bytes, MotionLabels, ObjectMasks, State, Tracks, WindowResult

SMALL = Settings(window=12, overlap=4)


class Film(Source):
    """Grey frames of 120×160 pixels; ``error`` comes after the last one."""

    def __init__(self, count: int, endless: bool = False, error: BaseException | None = None) -> None:
        super().__init__("film", "film", None, SMALL)
        self.endless = endless
        self._count = count
        self._error = error

    @property
    def fps(self) -> Fraction:
        return Fraction(10)

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        for number in range(self._count):
            yield np.full((120, 160, 3), number % 256, np.uint8), number / 10, str(number)
        if self._error is not None:
            raise self._error


def piece_of(window: Window, *identities: int) -> WindowResult:
    """A piece whose objects are boxes, side by side; one point track a window."""
    clip = window.clip.part(slice(window.shared, None))
    masks = np.zeros((len(identities), len(clip.frames), *clip.size), np.bool_)
    for k, own in enumerate(masks):
        own[:, 10:20, 10 * k : 10 * k + 8] = True
    track = np.ones((1, len(window.clip.frames)), np.float32)
    xy = np.full((1, len(window.clip.frames), 2), window.start, np.float32)
    tracks = Tracks(xy, track > 0, track, track, np.zeros(1, np.int64))
    labels = MotionLabels(np.ones(1, np.float32), np.ones(1, np.bool_))
    names = np.array(identities, np.int64)
    return WindowResult(
        clip,
        names,
        ObjectMasks(masks),
        np.ones(len(names), np.float32),
        np.full((len(names), len(clip.frames)), State.MOVING, np.uint8),
        tracks,
        labels,
        window.start,
        {"tracks": 1.0},
        window.arrived,
    )


def boxes(windows: Iterable[Window], *_: object) -> Iterator[WindowResult]:
    """Stands for the pipeline: objects 1 and 2, then 2 and 3, and so on."""
    for number, window in enumerate(windows):
        yield piece_of(window, number + 1, number + 2)


def run(
    source: Source, out: Path, settings: Settings = SMALL, notes: list[str] | None = None, overlay: bool = True
) -> str:
    notes = [] if notes is None else notes
    job = Job(Bundle.load(), settings, out, overlay, None, Progress(), notes.append, lambda: {"warnings": []})
    return process(source, job).line


@pytest.fixture(autouse=True)
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "stream", boxes)


def read_record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return record


def test_pieces_are_written_as_one_result(tmp_path: Path) -> None:
    assert run(Film(30), tmp_path) == f"film: 5 moving objects in 30 frames -> {tmp_path / 'film'}"
    record = read_record(tmp_path / "film")
    assert record["windows"] == [[0, 12], [8, 20], [16, 28], [24, 30]]
    assert record["input"]["frames"] == list(range(30))
    assert record["input"]["source_frames"] == 30
    assert record["seconds"] == {"tracks": 4.0}
    assert [(o["id"], o["first_frame"], o["last_frame"]) for o in record["objects"]] == [
        (1, 0, 11),
        (2, 0, 19),
        (3, 12, 27),
        (4, 20, 29),
        (5, 28, 29),
    ]


def test_each_object_s_lists_begin_where_it_does(tmp_path: Path) -> None:
    run(Film(30), tmp_path)
    record = read_record(tmp_path / "film")
    for item in record["objects"]:
        assert len(item["area"]) == len(item["boxes"])
        for at, (area, box) in enumerate(zip(item["area"], item["boxes"], strict=True), item["start"]):
            labels = np.asarray(Image.open(tmp_path / "film" / "masks" / f"{at:05d}.png"))
            assert area == np.count_nonzero(labels == item["id"]) == 80
            rows, columns = np.nonzero(labels == item["id"])
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_tracks_of_each_window_are_apart(tmp_path: Path) -> None:
    run(Film(30), tmp_path)
    windows = read_record(tmp_path / "film")["windows"]
    with np.load(tmp_path / "film" / "tracks.npz") as arrays:
        assert len(arrays.files) == 6 * len(windows)
        assert arrays["xy"].shape == (1, 12, 2)
        for number, (start, stop) in enumerate(windows[1:], 1):
            assert (arrays[f"xy_{number}"] == start).all()
            assert arrays[f"visible_{number}"].shape == (1, stop - start)


def test_ids_above_255_are_kept_in_16_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(windows: Iterable[Window], *_: object) -> Iterator[WindowResult]:
        for number, window in enumerate(windows):
            yield piece_of(window, 255, 256 + number) if number else piece_of(window, 7, 255)

    monkeypatch.setattr(job, "stream", many)
    run(Film(20), tmp_path)
    first, later = (Image.open(tmp_path / "film" / "masks" / f"{n:05d}.png") for n in (0, 15))
    assert first.mode == "P"
    assert later.mode == "I;16"
    assert np.unique(np.asarray(first)).tolist() == [0, 7, 255]
    assert np.unique(np.asarray(later)).tolist() == [0, 255, 257]
    assert [item["id"] for item in read_record(tmp_path / "film")["objects"]] == [7, 255, 257]


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    for endless in (False, True):
        with pytest.raises(InputError, match="broken"):
            run(Film(30, endless, InputError("broken")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def interrupted(after: int) -> Callable[..., Iterator[WindowResult]]:
    """The pipeline with Ctrl-C in the window after so many."""

    def pieces(windows: Iterable[Window], *_: object) -> Iterator[WindowResult]:
        for number, window in enumerate(windows):
            if number == after:
                raise KeyboardInterrupt
            yield piece_of(window, 1)

    return pieces


def test_an_interrupt_leaves_nothing_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "stream", interrupted(2))
    with pytest.raises(KeyboardInterrupt):
        run(Film(30), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_second_interrupt_keeps_the_finished_windows_of_a_live_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "stream", interrupted(2))
    run(Film(30, endless=True), tmp_path)
    record = read_record(tmp_path / "film")
    assert record["windows"] == [[0, 12], [8, 20]]
    assert sorted(path.name for path in (tmp_path / "film" / "masks").iterdir()) == [
        f"{n:05d}.png" for n in range(20)
    ]


def test_an_interrupt_before_any_window_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "stream", interrupted(0))
    with pytest.raises(KeyboardInterrupt):
        run(Film(30, endless=True), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_latency_is_stated_and_recorded(tmp_path: Path) -> None:
    notes: list[str] = []
    run(Film(30, endless=True), tmp_path, notes=notes)
    assert len(notes) == 2
    assert notes[1].endswith("after their frames at most, 0 frames dropped")
    assert "8 frames (0.8 s)" in notes[0]
    live = read_record(tmp_path / "film")["live"]
    assert (live["latency_frames"], live["latency_seconds"]) == (8, 0.8)
    assert (live["dropped"], live["stride"], live["stopped"], live["real_time"]) == (0, 1, False, False)
    assert 0 <= live["worst_seconds"] < 60
    assert "live" not in read_record(tmp_path / run_of_a_file(tmp_path))


def run_of_a_file(out: Path) -> str:
    film = Film(5)
    film.name = "file"
    run(film, out)
    return "file"


def peak(count: int, out: Path) -> int:
    tracemalloc.start()
    try:
        run(Film(count), out, replace(SMALL, window=24), overlay=False)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_four_times_the_frames_need_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(windows: Iterable[Window], *_: object) -> Iterator[WindowResult]:
        for window in windows:
            yield piece_of(window, 1)

    monkeypatch.setattr(job, "stream", one)
    peak(30, tmp_path / "warm")
    # How far reading gets ahead varies on a busy machine: the most of a few short runs is what a short one may need.
    short = max(peak(120, tmp_path / f"short-{run}") for run in range(3))
    long = peak(480, tmp_path / "long")
    assert long <= 1.2 * short
    assert long < 180 * 120 * 160 * 3, "a fraction of the film"

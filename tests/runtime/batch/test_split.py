"""One video on several workers: what one process finds, whatever happens to a worker."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.paths import ROOT
from tests.support.video_files import write_video

from samotion.runtime.batch.dispatch import TRIES
from samotion.runtime.batch.process_pool import ProcessPool
from samotion.runtime.batch.stretch import LEAD, Stretch, division
from samotion.runtime.cli import DEMO, main
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.sources.packet_index import PacketIndex
from samotion.runtime.values import Bytes

QUICK = ["--window", "8", "--overlap", "2", "--max-tracks", "150", "--threads", "2", "--quiet"]
FRAMES = 26  # four windows


def there_and_back(path: Path, count: int, side: int, group: int) -> Path:
    """The demo, played to and fro."""
    frames = read_clip(DEMO, Settings(max_side=side)).frames
    return write_video(path, list(islice(cycle([*frames, *frames[-2:0:-1]]), count)), group=group)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return there_and_back(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES, 240, 5)


@pytest.fixture(scope="module")
def plain(video: Path) -> Path:
    """What one process finds."""
    out = video.parent / "plain"
    assert main([str(video), "-o", str(out), *QUICK]) == 0
    return out / "film"


def record(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return facts


def labels(folder: Path) -> Bytes:
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())])


def same(folder: Path, plain: Path) -> bool:
    """Whether two results say the same of the frames and the objects."""
    ours, theirs = record(folder), record(plain)
    equal = all(ours[key] == theirs[key] for key in ("input", "windows", "objects", "settings", "message", "formats"))
    return equal and np.array_equal(labels(folder), labels(plain))


def test_two_processes_find_what_one_finds(video: Path, plain: Path, tmp_path: Path) -> None:
    assert main([str(video), "-o", str(tmp_path), "--split", "2", *QUICK]) == 0
    assert same(tmp_path / "film", plain)
    assert record(plain)["objects"], "else nothing is joined"
    split = record(tmp_path / "film")["split"]
    assert [split["sought"], len(split["seams"])] == [[False, True], 1]
    assert all(iou > 0.9 for iou in split["seams"][0]["iou"])
    assert os.listdir(tmp_path) == ["film"]
    with np.load(tmp_path / "film" / "tracks.npz") as ours, np.load(plain / "tracks.npz") as theirs:
        assert ours.files == theirs.files
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours.files)


def test_a_file_without_an_order_is_decoded_from_its_start(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = list(read_clip(video).frames)
    film = tmp_path / "film.ts"  # two recordings in one file: the clock goes back in the middle
    parts = [write_video(tmp_path / f"{k}.ts", part) for k, part in enumerate((frames[:13], frames[13:]))]
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    for name, options in (("one", []), ("two", ["--split", "2"])):
        assert main([str(film), "-o", str(tmp_path / name), *QUICK, *options]) == 0
    assert same(tmp_path / "two" / "film", tmp_path / "one" / "film")
    assert "so every worker decodes it from its start" in capfd.readouterr().err


def test_frames_that_differ_are_never_joined(
    video: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seek = PacketIndex.seek
    monkeypatch.setattr(PacketIndex, "seek", lambda index, frame: seek(index, frame + 1))
    assert main([str(video), "-o", str(tmp_path), "--split", "2", *QUICK]) == 0
    assert "so one process does it" in capfd.readouterr().err
    assert same(tmp_path / "film", plain)


def test_images_are_split_too(video: Path, tmp_path: Path) -> None:
    (tmp_path / "film").mkdir()
    for number, frame in enumerate(read_clip(video).frames):
        Image.fromarray(frame).save(tmp_path / "film" / f"{number}.png")
    for name, options in (("one", []), ("two", ["--split", "2"])):
        assert main([str(tmp_path / "film"), "-o", str(tmp_path / name), *QUICK, *options]) == 0
    assert same(tmp_path / "two" / "film", tmp_path / "one" / "film")


def test_a_live_source_is_not_split(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["camera:97", "-o", str(tmp_path), "--split", "2", *QUICK]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "camera:97: has no end, and --split needs one" in line


def test_a_short_video_is_worked_on_by_one_process(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = write_video(tmp_path / "film.mp4", list(read_clip(video).frames[:10]))
    assert main([str(short), "-o", str(tmp_path / "out"), "--split", "2", *QUICK]) == 0
    assert "2 windows, too few to split" in capfd.readouterr().err
    assert record(tmp_path / "out" / "film")["split"] == {"stretches": []}


@pytest.mark.parametrize("times", [2, 3])
def test_a_worker_that_dies_is_replaced_twice(
    video: Path,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    times: int,
) -> None:
    """Whoever is at the second stretch is killed after a second, two times or three."""
    start, killed = ProcessPool.start, list[Stretch]()

    def start_and_kill(pool: ProcessPool, item: Stretch) -> Any:
        hand = start(pool, item)
        if item.own and len(killed) < times:
            killed.append(item)
            threading.Timer(1.0, hand.process.kill).start()
        return hand

    monkeypatch.setattr(ProcessPool, "start", start_and_kill)
    status = main([str(video), "-o", str(tmp_path), "--split", "2", *QUICK])
    assert len(killed) == times
    if times < TRIES:
        assert status == 0
        assert same(tmp_path / "film", plain)
    else:
        assert status == 2
        assert "from frame 18 on: the worker that was at it died, 3 times" in capfd.readouterr().err
        assert os.listdir(tmp_path) == []


def begun(video: Path, out: Path) -> "subprocess.Popen[bytes]":
    """Return a run in two parts, of which a window is done and more are to come."""
    command = [sys.executable, "-m", "samotion.runtime.cli", str(video), "-o", str(out), "--split", "2", *QUICK]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / ".dev")}, start_new_session=True)
    while not list(out.glob(".film.partial-work/*/*.npz")):
        time.sleep(0.05)
        assert process.poll() is None
    return process


def test_a_killed_run_leaves_no_workers_and_the_next_one_clears_up(video: Path, tmp_path: Path) -> None:
    process = begun(video, tmp_path)
    process.kill()
    process.wait()
    while subprocess.run(["pgrep", "-s", str(process.pid)], stdout=subprocess.DEVNULL, check=False).returncode == 0:
        time.sleep(0.05)
    assert main([str(video), "-o", str(tmp_path), "--split", "2", *QUICK]) == 0
    assert os.listdir(tmp_path) == ["film"]


def test_an_interrupted_run_leaves_nothing(video: Path, tmp_path: Path) -> None:
    process = begun(video, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("windows", range(1, 40))
@pytest.mark.parametrize("workers", [2, 3, 7, 64])
def test_stretches_cover_all_windows_once_and_take_equally_long(windows: int, workers: int) -> None:
    parts = division(windows, workers)
    ends = [own for _, own, _ in parts[1:]]
    assert [end for _, _, end in parts] == [*ends, None]
    lengths = [(end or windows) - first for first, _, end in parts]
    assert all(own - first == LEAD for first, own, _ in parts[1:])
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == 1 or max(lengths) < windows


@pytest.mark.slow
def test_a_thousand_frames_as_in_one_process(tmp_path: Path, record_property: Any) -> None:
    """1,200 frames, default windows: the figures that docs/many-videos.md states."""
    film = there_and_back(tmp_path / "film.mp4", 1200, 240, 48)
    options = ["--max-tracks", "300", "--no-overlay", "--quiet"]
    for name, more in (("one", []), ("two", ["--split", "2"])):
        assert main([str(film), "-o", str(tmp_path / name), *options, *more]) == 0
    one, two = tmp_path / "one" / "film", tmp_path / "two" / "film"
    assert record(one)["input"] == record(two)["input"]
    before, after = labels(one), labels(two)
    window = record(two)["settings"]["window"]
    seams = [seam["frame"] for seam in record(two)["split"]["seams"]]
    assert seams
    known, ious, near = 0, [], []
    for frame, (ours, theirs) in enumerate(zip(before, after, strict=True)):
        for identity in np.unique(ours[ours > 0]):
            a, b = ours == identity, theirs == identity
            ious.append(np.count_nonzero(a & b) / np.count_nonzero(a | b))
            near.append(any(abs(frame - seam) < window for seam in seams))
            known += int(ious[-1] > 0.5)
    values, at = np.array(ious), np.array(near)
    figures = {
        "identities": known / len(values),
        "away": values[~at].mean(),
        "seams": values[at].mean(),
        "seams_least": values[at].min(),
        "objects": len(record(one)["objects"]),
        "object_frames": len(values),
    }
    print(figures, record(two)["split"])
    record_property("figures", figures)
    assert figures["identities"] >= 0.95
    assert figures["away"] >= 0.98

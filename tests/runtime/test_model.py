"""The public entry: what a program gets, held to what the command writes."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import samotion
from samotion.runtime.cli import DEMO, main
from samotion.runtime.sources.open import read_clip

# Quick, and something is found.
OPTIONS = ["--max-tracks", "200", "--max-side", "240", "--max-frames", "12"]


@pytest.fixture(scope="module")
def model() -> Iterator[samotion.Model]:
    with samotion.load(max_tracks=200, max_side=240, max_frames=12) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def result(model: samotion.Model) -> samotion.Result:
    return model(DEMO)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return read_clip(DEMO).frames[::4]


def test_the_masks_are_those_that_the_command_writes(result: samotion.Result, tmp_path: Path) -> None:
    assert main([str(DEMO), "-o", str(tmp_path), *OPTIONS, "--quiet"]) == 0
    written = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "demo" / "masks").iterdir())]
    np.testing.assert_array_equal(result.labels, written)
    facts = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert [item["id"] for item in facts["objects"]] == [item.id for item in result.objects]
    for item, stated in zip(result.objects, facts["objects"], strict=True):
        np.testing.assert_array_equal(result.masks[item.id - 1].sum(axis=(1, 2)), stated["area"])
        np.testing.assert_array_equal(item.areas, [area for area in stated["area"] if area])
        np.testing.assert_array_equal(item.boxes, [box for box in stated["boxes"] if box])
        np.testing.assert_array_equal(item.frames, np.flatnonzero(stated["area"]))
        assert item.state == tuple(name for name, count in stated["state"] for _ in range(count))
        assert [frame for frame, name in enumerate(item.state) if name in ("moving", "still")] == item.frames.tolist()
        assert item.score == pytest.approx(stated["score"], abs=1e-4)


def test_shapes_and_types(result: samotion.Result) -> None:
    assert len(result) == len(result.objects) > 0
    assert result.masks.shape == (len(result), 12, 272, 480)
    assert result.masks.dtype == np.bool_
    assert result.tracks.xy.shape[:2] == (len(result.probability), 12)
    assert all(0.5 < item.score <= 1 for item in result.objects)
    assert repr(result) == f"<Result of demo: {len(result)} objects in 12 frames>"


def test_saved_is_what_the_command_writes(result: samotion.Result, tmp_path: Path) -> None:
    main([str(DEMO), "-o", str(tmp_path / "command"), *OPTIONS, "--quiet"])
    folder = result.save(tmp_path / "saved")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if path.name != "result.json")
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "command" / "demo" / name).read_bytes(), name
    saved, written = (json.loads((tmp_path / at / "demo/result.json").read_text()) for at in ("saved", "command"))
    assert saved["objects"] == written["objects"]
    assert saved["settings"] == written["settings"]


def test_an_array_and_an_iterable_give_the_same_masks(
    model: samotion.Model, frames: np.ndarray, result: samotion.Result
) -> None:
    np.testing.assert_array_equal(model(frames).labels, result.labels)
    np.testing.assert_array_equal(model(frame for frame in frames).labels, result.labels)


def test_frames_that_were_shrunk_give_masks_and_tracks_of_their_own_size(result: samotion.Result) -> None:
    assert result.windows[0].clip.size == (136, 240)
    assert result.labels.shape[1:] == (272, 480)
    assert result.tracks.xy[..., 0].max() > 300


def test_windows_come_as_they_are_known(frames: np.ndarray) -> None:
    with samotion.load(max_tracks=200, max_side=240, window=6, overlap=2) as short:
        results = list(short.stream(frames))
    assert [len(window.clip.frames) for window in results] == [6, 4, 2]
    assert samotion.Result(results, {}).labels.shape[0] == 12


def test_progress_is_told_and_may_end_the_run(model: samotion.Model, frames: np.ndarray) -> None:
    told: list[tuple[str, int, int]] = []
    model(frames[:4], progress=lambda *facts: told.append(facts))
    assert {name for name, _, _ in told} >= {"tracks", "depth", "motion"}
    assert all(done <= total for _, done, total in told)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        model(frames[:4], progress=stop)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
    model(frames[:4])  # and the model is as good as before


def test_threads_may_share_a_model(model: samotion.Model, frames: np.ndarray) -> None:
    alone = [model(frames[start : start + 6]).labels for start in (0, 6)]
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        found[number] = model(frames[6 * number : 6 * number + 6]).labels

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in (0, 1):
        np.testing.assert_array_equal(found[number], alone[number])


def test_a_closed_model_says_so(frames: np.ndarray) -> None:
    closed = samotion.load()
    closed.close()
    closed.close()
    with pytest.raises(samotion.SamotionError, match="closed; load them again"):
        closed(frames)


FORKING = """
import os, sys
import numpy as np
import samotion
model = samotion.load(max_tracks=100)
frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
model(frames)
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1])
try:
    model(frames)
except samotion.SamotionError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_gets_an_error_and_ends() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "before this process was forked" in ran.stdout


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 32, 32), np.uint8), r"uint8 \(4, 32, 32\), expected uint8 \(frames, height, width, 3\)"),
        (np.zeros((4, 32, 32, 3)), r"frame 0 is float64 \(32, 32, 3\), expected"),
        ([np.zeros((32, 32, 3), np.uint8), None], "frame 1 is NoneType"),
        ([], "no frame of it"),
        ("nowhere.mp4", "no such file"),
        ("frames/*.png", "no such file or folder; write numbered images as frames/%05d.png"),
        (None, "the source is NoneType, expected a path, an array or an iterable of frames"),
        ("camera:0", r"has no end; take its masks window by window"),
    ],
)
def test_what_is_no_input_is_one_line(model: samotion.Model, source: object, words: str) -> None:
    with pytest.raises(samotion.SamotionError, match=words):
        model(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, -24, float("nan"), float("inf"), "fast", None])
def test_a_rate_that_is_none_is_one_line(model: samotion.Model, frames: np.ndarray, fps: object) -> None:
    with pytest.raises(samotion.SamotionError, match=r"fps is .*, expected a number above 0"):
        model(frames, fps=fps)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [-1, "2", 1.5, None])
def test_a_number_of_threads_that_is_none_is_one_line(threads: object) -> None:
    with pytest.raises(samotion.SamotionError, match=r"threads is .*, expected a whole number"):
        samotion.load(threads=threads)  # type: ignore[arg-type]


def test_an_unknown_setting_is_reported_before_anything_loads() -> None:
    with pytest.raises(samotion.SamotionError, match="unknown setting windows"):
        samotion.load("nowhere", windows=4)

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support.video_files import picture, write_image, write_video

from samotion.runtime.cli import main
from samotion.runtime.progress import BarProgress, LineProgress, Progress, progress_on

QUICK = ("--max-side", "96", "--max-tracks", "32", "--threads", "1")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samotion.runtime.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error: status 2, nothing on stdout, no traceback."""
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    lines = [line for line in done.stderr.splitlines() if "reading" not in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("samotion-run: error: ")
    return lines[0]


def text_named_mp4(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("this is text\n" * 100)
    return path


def headless_mp4(folder: Path) -> Path:
    whole = write_video(folder / "whole.mp4", [picture(32, 32)] * 10).read_bytes()
    path = folder / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def folder_of(folder: Path, *images: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Path:
    inside = folder / "frames"
    inside.mkdir()
    for index, image in enumerate(images):
        write_image(inside / f"{index}.png", image)
    return inside


def bad_image(folder: Path) -> Path:
    inside = folder_of(folder, picture(32, 32))
    (inside / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    return inside


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing file": (lambda folder: folder / "none.mp4", "no such file"),
    "text named mp4": (text_named_mp4, "not a video"),
    "mp4 without its index": (headless_mp4, "index is missing"),
    "no frames": (folder_of, "no images"),
    "2×2 pixels": (lambda folder: folder_of(folder, *[picture(2, 2)] * 3), "2×2"),
    "mixed sizes": (lambda folder: folder_of(folder, picture(32, 48), picture(48, 32)), "0.png is 48×32"),
    "bad image": (bad_image, "1.png"),
    "pattern of nothing": (lambda folder: folder / "%05d.png", "no file fits"),
    "name too long": (lambda folder: folder / ("x" * 300), "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs_end_in_one_line(tmp_path: Path, case: str) -> None:
    make, words = BAD[case]
    path = make(tmp_path)
    assert words in error_line(run(path, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_truncated_video_is_used_up_to_the_damage(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.mp4", list(noise), options={"movflags": "faststart"}).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    done = run(path, "-o", tmp_path / "out", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "samotion-run: warning: " in done.stderr
    record = json.loads((tmp_path / "out" / "cut" / "result.json").read_text())
    assert record["warnings"]
    assert len(list((tmp_path / "out" / "cut" / "masks").iterdir())) == len(record["input"]["frames"]) < 20


def test_one_frame_has_an_empty_mask(tmp_path: Path) -> None:
    done = run(folder_of(tmp_path, picture(33, 47)), "-o", tmp_path / "out", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "nothing can be said to move" in done.stdout
    mask = np.asarray(Image.open(tmp_path / "out" / "frames" / "masks" / "00000.png"))
    assert mask.shape == (33, 47)
    assert not mask.any()


def test_16_bit_grey_still_frames_run(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (64, 64)).astype(np.uint16)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 2), np.uint16)
    done = run(folder_of(tmp_path, *[grey] * 3), "-o", tmp_path / "out", *QUICK)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_one_bad_input_does_not_lose_the_others(tmp_path: Path) -> None:
    good = folder_of(tmp_path, picture(32, 32))
    again = tmp_path / "b" / "frames"
    again.parent.mkdir()
    again.symlink_to(good)
    done = run(good, tmp_path / "none.mp4", again, "-o", tmp_path / "out", *QUICK)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "is written as frames-2" in done.stderr
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["failures.jsonl", "frames", "frames-2", "summary.csv"]
    rows = (out / "summary.csv").read_text().splitlines()[1:]
    assert [row.split(",")[2] for row in rows] == ["done", "failed", "done"]


def test_unwritable_out(tmp_path: Path) -> None:
    inputs = folder_of(tmp_path, picture(32, 32))
    (tmp_path / "file").write_text("mine")
    assert "cannot be written" in error_line(run(inputs, "-o", tmp_path / "file"))
    (tmp_path / "out" / "frames").mkdir(parents=True)
    (tmp_path / "out" / "frames" / "thesis.txt").write_text("mine")
    assert "no earlier result" in error_line(run(inputs, "-o", tmp_path / "out"))
    assert (tmp_path / "out" / "frames" / "thesis.txt").read_text() == "mine"


def test_unknown_provider_lists_what_is_there(tmp_path: Path) -> None:
    line = error_line(run(folder_of(tmp_path, picture(32, 32)), "--provider", "tpu", "-o", tmp_path / "out"))
    assert "tpu" in line
    assert "available here: cpu" in line


def test_bundles_that_are_none(tmp_path: Path) -> None:
    inputs = folder_of(tmp_path, picture(32, 32))
    (tmp_path / "bundle").mkdir()
    error_line(run(inputs, "--engines", tmp_path / "none", "-o", tmp_path / "out"))
    error_line(run(inputs, "--engines", tmp_path / "bundle", "-o", tmp_path / "out"))
    (tmp_path / "bundle" / "bundle.json").write_text("{")
    error_line(run(inputs, "--engines", tmp_path / "bundle", "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("failure", "status"), [(KeyboardInterrupt(), 130), (RuntimeError("a bug"), 70)])
def test_interrupts_and_bugs_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: BaseException,
    status: int,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("samotion.runtime.output.writer.Overlay.add", fail)
    inputs = folder_of(tmp_path, picture(32, 32))
    assert main([str(inputs), "-o", str(tmp_path / "out")]) == status
    assert ("Traceback" in capsys.readouterr().err) == (status == 70)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option", ["--step=0", "--max-frames=0", "--max-side=-1", "--seed=-1", "--overlap=0", "--window=15"]
)
def test_settings_out_of_range(tmp_path: Path, option: str) -> None:
    name = option[2:].split("=", maxsplit=1)[0].replace("-", "_")
    assert name in error_line(run(folder_of(tmp_path, picture(32, 32)), option))


NONE = ["--fps=0", "--fps=x", "--fps=1/0", "--threads=-1", "--step=x", "--nonsense", "--window=-1", "--window=x"]


@pytest.mark.parametrize("option", [*NONE, "--memory=0", "--memory=4", "--memory=4X", "--memory=G", "--memory=-1G"])
def test_options_that_are_none(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["a.mp4", option])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_no_input_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "--demo" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "--published" in out
    assert "--parity" not in out


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'cv2', 'av', 'onnxruntime', 'numpy', 'torch'}"
    code = f"import sys, samotion.runtime.cli as c; c.build_parser().format_help(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_suits_the_stream() -> None:
    assert type(progress_on(Terminal(), "dog", quiet=True)) is Progress
    live, plain = Terminal(), io.StringIO()
    assert isinstance(progress_on(live, "dog"), BarProgress)
    assert isinstance(progress_on(plain, "dog"), LineProgress)
    for stream in (live, plain):
        with progress_on(stream, "dog").stage("depth", 3) as stage:
            stage.advance()
            stage.advance(2)
    assert "dog: depth" in live.getvalue()
    assert plain.getvalue() == "dog: depth 0.0 s\n"


def test_one_bar_covers_all_windows_and_ends_full() -> None:
    live = Terminal()
    with progress_on(live, "dog") as progress:
        with progress.stage("reading", 1):
            progress.expect(20, 12, 4)
        for start, stop in ((0, 12), (8, 20)):
            with progress.window(start, stop) as own, own.stage("tracks", 2) as stage:
                stage.advance()
                time.sleep(0.15)  # longer than a bar waits between two pictures of itself
                stage.advance()
    shown = live.getvalue().split("\r")
    parts = [int(match[1]) for line in shown if (match := re.search(r"(\d+)%", line))]
    assert parts == sorted(parts)
    assert parts[-1] == 100
    assert " left" in live.getvalue()
    assert live.getvalue().count("\n") == 1

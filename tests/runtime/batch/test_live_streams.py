"""Live sources side by side: each gets its own whole result, whatever happens to the others."""

import csv
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.video_files import write_video

from samotion.runtime.batch.live_streams import _Turns
from samotion.runtime.cli import DEMO, main
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes

OPTIONS = ["--window", "8", "--overlap", "2", "--max-tracks", "64", "--threads", "1", "--no-overlay"]
NAMES = ("yard", "street")


class Sender(SimpleHTTPRequestHandler):
    """Sends a file; one whose name begins with "endless" all but its end, and then nothing more."""

    def do_GET(self) -> None:
        if not Path(self.path).name.startswith("endless"):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Path(self.translate_path(self.path)).read_bytes()[:-500])
        self.wfile.flush()
        time.sleep(60)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, one the other's mirror image, each also under an endless name."""
    path = tmp_path_factory.mktemp("films")
    frames = read_clip(DEMO, Settings(max_side=160)).frames[:20]
    for name, shown in zip(NAMES, (frames, frames[:, :, ::-1]), strict=True):
        for file in (f"{name}.mkv", f"endless-{name}.mkv"):
            write_video(path / file, list(shown), codec="ffv1", pixels="bgr0")
    return path


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Sender, directory=str(folder))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def labels(result: Path) -> Bytes:
    return np.stack([np.asarray(Image.open(path)) for path in sorted((result / "masks").iterdir())])


def test_streams_have_the_results_of_their_own_and_one_that_fails_stops_no_other(
    folder: Path, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    streams = [f"{address}/{name}.mkv" for name in (*NAMES, "gone")]
    assert main([*streams, "-o", str(tmp_path / "live"), *OPTIONS]) == 2
    told = capfd.readouterr().err
    for name in NAMES:
        assert main([str(folder / f"{name}.mkv"), "-o", str(tmp_path / "file"), "--quiet", *OPTIONS]) == 0
        assert np.array_equal(labels(tmp_path / "live" / name), labels(tmp_path / "file" / name))
        record = json.loads((tmp_path / "live" / name / "result.json").read_text())
        assert record["live"]["dropped"] == 0
        assert record["live"]["worst_seconds"] > 0
        assert record["warnings"] == []
        assert f"/{name}.mkv: masks come 6 frames" in told
        assert f"/{name}.mkv: masks came " in told
    assert "/gone.mkv: cannot be opened" in told
    with (tmp_path / "live" / "summary.csv").open(newline="") as file:
        assert {row["name"]: row["status"] for row in csv.DictReader(file)} == {
            "yard": "done",
            "street": "done",
            "gone": "failed",
        }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_keeps_what_was_read(address: str, tmp_path: Path, number: signal.Signals) -> None:
    names = [f"endless-{name}" for name in NAMES]
    command = [sys.executable, "-m", "samotion.runtime.cli", *(f"{address}/{name}.mkv" for name in names)]
    with subprocess.Popen([*command, "-o", str(tmp_path), *OPTIONS], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        begun = set[str]()
        for line in process.stderr:
            begun |= {name for name in names if line.decode().startswith(f"{name}: tracks")}
            if len(begun) == 2:
                break
        process.send_signal(number)
        told = process.stderr.read().decode()
        assert process.wait(120) == 0, told
    assert "ending" in told
    for name in names:
        record = json.loads((tmp_path / name / "result.json").read_text())
        assert record["live"]["stopped"]
        assert len(list((tmp_path / name / "masks").iterdir())) == len(record["input"]["frames"]) >= 8
    assert not list(tmp_path.glob(".*"))


def test_a_second_signal_keeps_the_finished_windows_only(address: str, tmp_path: Path) -> None:
    names = [f"endless-{name}" for name in NAMES]
    command = [sys.executable, "-m", "samotion.runtime.cli", *(f"{address}/{name}.mkv" for name in names)]
    with subprocess.Popen([*command, "-o", str(tmp_path), *OPTIONS], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b": tracks" in line:
                break
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if b"ending" in line:
                break
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(60) in (0, 2)
    for name in names:
        if (tmp_path / name).exists():
            assert (tmp_path / name / "result.json").exists()
    assert not list(tmp_path.glob(".*"))


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order, asked = _Turns(), list[int](), threading.Event()

    def take(number: int) -> None:
        with turns.turn():
            order.append(number)

    with turns.turn():
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            asked.wait(0.05)
    for thread in threads:
        thread.join()
    assert order == list(range(5))

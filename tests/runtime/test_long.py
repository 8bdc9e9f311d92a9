"""Windows through the whole chain on the shipped networks: the demo clip there and back, in several windows."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image
from tests.support.video_files import write_video

from samotion.engines.bundle import Bundle
from samotion.runtime.cli import DEMO
from samotion.runtime.pipeline import segment, stream
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import open_source, read_clip
from samotion.runtime.sources.windows import cut
from samotion.runtime.values import Bytes

WINDOWS = {"window": 24, "overlap": 6}
# Half size and few points: the movers are still found, in a quarter of the time.
QUICK = {"max_side": 240, "max_tracks": 300}
COMMAND = [sys.executable, "-m", "samotion.runtime.cli", "--threads", "1"]


@pytest.fixture(scope="module")
def bounced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo there and back: 60 frames, at half size."""
    frames = read_clip(DEMO, Settings(max_side=240)).frames
    path = tmp_path_factory.mktemp("film") / "bounced.mkv"
    return write_video(path, [*frames, *frames[-2:-14:-1]], codec="ffv1", pixels="bgr0")


@pytest.fixture(scope="module")
def result(bounced: Path) -> Path:
    """The folder that samotion-run writes of it."""
    options = ["--window", "24", "--overlap", "6", "--max-tracks", "300", "-o", str(bounced.parent)]
    done = subprocess.run([*COMMAND, str(bounced), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "frames 18-41" in done.stderr, "a line a window"
    return bounced.parent / "bounced"


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return record


def labels_of(folder: Path) -> Bytes:
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())])


def test_every_frame_is_written_once(result: Path) -> None:
    record = record_of(result)
    assert record["windows"] == [[0, 24], [18, 42], [36, 60]]
    assert record["input"]["frames"] == list(range(60))
    assert labels_of(result).shape == (60, 136, 240)


def test_the_largest_mover_keeps_its_identity(result: Path) -> None:
    labels = labels_of(result)
    areas = np.array([[np.count_nonzero(frame == k) for k in range(1, labels.max() + 1)] for frame in labels])
    largest = int(areas.sum(axis=0).argmax())
    assert np.count_nonzero(areas[:, largest]) > 24, "longer than one window"


def test_python_gives_what_the_command_line_writes(result: Path, bounced: Path) -> None:
    with Bundle.load(threads=1) as bundle:
        settings = Settings().override(bundle.settings).override(WINDOWS).override({"max_tracks": 300})
        found = segment(read_clip(bounced, settings), bundle, settings)
    labels = labels_of(result)
    assert len(found.masks.values) == labels.max(initial=0) == len(record_of(result)["objects"])
    for k in range(len(found.masks.values)):
        assert np.array_equal(found.masks.values[k] & (labels == k + 1), labels == k + 1)
    assert found.tracks.visible.shape[1] == 60
    assert not found.tracks.visible[found.tracks.query_frame >= 42, :36].any(), "hidden outside their window"
    with np.load(result / "tracks.npz") as arrays:
        assert sum(len(arrays[f"xy{tail}"]) for tail in ("", "_1", "_2")) == len(found.tracks.xy)


def test_a_clip_within_one_window_is_not_changed_by_windows(bounced: Path) -> None:
    with Bundle.load(threads=1) as bundle:
        few = Settings().override(bundle.settings).override(QUICK | {"max_frames": 20, "window": None})
        whole = segment(read_clip(bounced, few), bundle, few)
        some = few.override({"window": 20})
        source = open_source(bounced, some)
        (piece,) = stream(cut(source, source.frames(), some), bundle, some)
    assert piece.identities.tolist() == list(range(1, len(whole.masks.values) + 1))
    assert piece.masks.values.tobytes() == whole.masks.values.tobytes()
    assert piece.tracks.xy.tobytes() == whole.tracks.xy.tobytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_pipe_is_a_whole_result(bounced: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The sender goes quiet without an end; the signal comes once the first window is read."""
    options = ["--window", "16", "--overlap", "4", "--max-side", "96", "--max-tracks", "32", "-o", str(tmp_path)]
    with subprocess.Popen(
        [*COMMAND, "-", *options], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        threading.Thread(target=_send, args=(process.stdin, bounced.read_bytes()[:-1000]), daemon=True).start()
        for line in process.stderr:
            if b"tracks" in line:
                break
        process.send_signal(number)
        told = process.stderr.read().decode()
        assert process.wait(120) == 0, told
    assert "ending" in told
    record = record_of(tmp_path / "stdin")
    assert record["live"]["stopped"]
    count = len(record["input"]["frames"])
    assert 16 <= count < 60
    assert len(list((tmp_path / "stdin" / "masks").iterdir())) == count
    assert [path.name for path in tmp_path.iterdir()] == ["stdin"]


def _send(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.write(data)

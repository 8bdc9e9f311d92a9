"""Live sources: what they are called, what is said when they cannot be opened, and real streams over this machine."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from tests.support.video_files import picture, write_video

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources import live
from samotion.runtime.sources.live import PipeSource, is_live, live_name, open_live, public
from samotion.runtime.sources.open import clip_name, open_source, read_clip
from samotion.runtime.sources.prefetch import FramesAhead

# Sends 40 numbered frames at 50 a second to the address and format that it is given.
SENDER = """
import sys, time
import av
import numpy as np

address, format = sys.argv[1:]
for attempt in range(100):
    try:
        options = {"rtsp_transport": "tcp"} if format == "rtsp" else {}
        container = av.open(address, "w", format=format, options=options)
        stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
        break
    except OSError:
        time.sleep(0.1)
for number in range(40):
    frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 + 5 * number, np.uint8), format="rgb24")
    frame.pts = number
    container.mux(stream.encode(frame))
    time.sleep(0.02)
container.mux(stream.encode(None))
container.close()
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("given", "name", "shown"),
    [
        ("-", "stdin", "-"),
        ("camera:0", "camera-0", "camera:0"),
        ("rtsp://cam.local/street", "street", "rtsp://cam.local/street"),
        ("rtsp://me:secret@cam.local:554/a/yard.sdp?key=secret", "yard", "rtsp://cam.local:554/a/yard.sdp"),
        ("udp://me:secret@10.0.0.1:5000", "udp-10.0.0.1-5000", "udp://10.0.0.1:5000"),
        ("https://host/../..", "https-host", "https://host/../.."),
    ],
)
def test_names_hold_no_secrets(given: str, name: str, shown: str) -> None:
    assert is_live(given)
    assert live_name(given) == clip_name(given) == name
    assert public(given) == shown


@pytest.mark.parametrize(
    "given", ["dog.mp4", "./-", "camera", "camera:x", "./camera:0", "a:b.mp4", "frames/%05d.png"]
)
def test_paths_are_not_live(given: str) -> None:
    assert not is_live(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("camera:97", r"camera:97: cannot be opened \(No such file"),
        ("gopher://me:secret@host/x", "known are rtsp"),
        ("file:///etc/passwd", "known are rtsp"),
        ("tcp://[::1/x", "no address"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras are read on Linux only")
def test_what_cannot_be_opened_is_said(given: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as failed:
        list(open_source(given).frames())
    assert "secret" not in str(failed.value)


def test_a_refused_address_keeps_its_password() -> None:
    source = open_live(f"rtsp://me:secret@127.0.0.1:{free_port()}/x", Settings())
    with pytest.raises(InputError, match=r"cannot be opened \(Connection refused\)") as failed:
        list(source.frames())
    assert "secret" not in str(failed.value)
    assert source.real_time
    assert source.endless


@pytest.mark.parametrize("given", ["camera:0", "-", "rtsp://host/x"])
def test_a_live_source_has_no_length(given: str) -> None:
    with pytest.raises(InputError, match="max_frames needs a length"):
        open_live(given, Settings(max_frames=100))


def test_a_stream_needs_windows() -> None:
    with pytest.raises(InputError, match="--window"):
        open_live("rtsp://host/x", Settings(window=0))


def receive(address: str, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Return the shades, one a frame, that arrive of what SENDER sends."""
    monkeypatch.setattr(live, "SILENCE", 8.0)
    (tmp_path / "sender.py").write_text(SENDER)
    source = open_live(address, Settings())
    assert source.real_time
    with (
        FramesAhead(source, 200) as ahead,
        subprocess.Popen([sys.executable, str(tmp_path / "sender.py"), address, form]) as sender,
    ):
        try:
            frames = list(ahead)
        finally:
            sender.kill()
    indices = [frame.stamp.index for frame in frames]
    assert indices == sorted(indices)
    assert source.size == (64, 96)
    return [round(float(frame.image.mean())) for frame in frames]


def ascending(shades: list[int], least: int) -> bool:
    return len(shades) >= least and all(np.diff(shades) > 0)


def test_a_udp_stream_is_read_until_it_falls_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shades = receive(f"udp://127.0.0.1:{free_port()}", "mpegts", monkeypatch, tmp_path)
    assert ascending(shades, 20), "the first group may be lost"


def test_an_rtsp_stream_is_read_until_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FFmpeg can wait for an RTSP sender itself; cameras serve, but what comes then is the same."""
    options = live.options("rtsp") | {"rtsp_flags": "listen", "listen_timeout": "20"}
    monkeypatch.setattr(live, "options", lambda _: options)
    shades = receive(f"rtsp://127.0.0.1:{free_port()}/live", "rtsp", monkeypatch, tmp_path)
    assert ascending(shades, 38)


READ = """
import sys
from samotion.runtime.sources.open import open_source
from samotion.runtime.settings import Settings
source = open_source("-", Settings())
try:
    print([int(frame.image[0, 0, 0]) for frame in source.frames()], source.fps, source.real_time)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_a_pipe_gives_the_same_frames_as_its_file(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg2video" if suffix in ("ts", "avi") else "libx264"
    path = write_video(tmp_path / f"a.{suffix}", [picture(64, 96, 6 * n) for n in range(30)], codec=codec)
    done = subprocess.run([sys.executable, "-c", READ], input=path.read_bytes(), capture_output=True, check=True)
    wanted = read_clip(path)
    assert done.stdout.decode().strip() == f"{wanted.frames[:, 0, 0, 0].tolist()} {wanted.fps} False"


def test_an_address_that_waits_gives_every_frame(tmp_path: Path) -> None:
    """A web server on this machine: what is read slowly comes slowly, and nothing is dropped."""
    path = write_video(tmp_path / "a.mkv", [picture(64, 96, 6 * n) for n in range(30)])
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_live(f"http://127.0.0.1:{server.server_port}/a.mkv", Settings())
        with FramesAhead(source, 4) as ahead:
            shades = [int(frame.image[0, 0, 0]) for frame in ahead]
        server.shutdown()
    assert not source.real_time
    assert shades == read_clip(path).frames[:, 0, 0, 0].tolist()
    assert (source.name, ahead.dropped) == ("a", 0)


@pytest.mark.parametrize("data", [b"", b"this is text\n" * 1000])
def test_a_pipe_of_something_else_is_said(data: bytes) -> None:
    done = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=True)
    assert done.stdout.decode().startswith("InputError -: not a video that can be read from a pipe")


def test_a_pipe_that_breaks_off_keeps_its_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [picture(64, 96, 6 * n) for n in range(30)], codec="ffv1", pixels="bgr0")
    data = path.read_bytes()[: path.stat().st_size * 2 // 3]
    done = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=True)
    assert 10 < len(done.stdout.decode().partition("]")[0].split(",")) < 30


def test_a_terminal_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True, buffer=io.BytesIO()))
    with pytest.raises(InputError, match="nothing is piped"):
        list(PipeSource(Settings()).frames())


def test_a_silent_pipe_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", [picture(64, 96, 6 * n) for n in range(30)])
    with subprocess.Popen(["cat", str(path), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, buffer=sender.stdout))
        source = PipeSource(Settings())
        with FramesAhead(source, 100) as ahead:
            next(iter(ahead))
            begun = time.monotonic()
            ahead.stop()
            rest = list(ahead)
            assert time.monotonic() - begun < 2
        sender.kill()
    assert len(rest) < 30


def test_damaged_frames_keep_their_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 96, 3), dtype=np.uint8)
    path = write_video(tmp_path / "a.ts", list(noise), codec="mpeg2video")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 40] = bytes(188 * 40)
    path.write_bytes(data)

    class File(live.LiveSource):
        def _open(self) -> av.container.InputContainer:
            return av.open(str(path))

    source = File("file", "file", None, Settings())
    assert len(list(source.frames())) == 30
    assert 1 < len(source.damaged) < 15
    assert len(caplog.records) == 1
    assert "are damaged and show the picture before them" in caplog.text


def test_a_silent_pipe_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SILENCE", 0.3)
    receiver, sender = os.pipe()
    try:
        with os.fdopen(receiver, "rb") as pipe:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe, isatty=lambda: False))
            with pytest.raises(InputError, match="-: nothing came for"):
                list(PipeSource(Settings()).frames())
    finally:
        os.close(sender)

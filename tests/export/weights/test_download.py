"""Downloads against servers on this machine that break, stall, cut short, change and answer with web pages."""

import hashlib
import io
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from samotion.engines.atomic import locked
from samotion.engines.cache import cache_folder
from samotion.engines.errors import CheckpointError, OutputError
from samotion.export.weights import download
from samotion.export.weights.download import fetch

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 2000
HALF = len(CONTENT) // 2


@dataclass
class Behaviour:
    """How the server answers: ``faults`` are used up one a request, then it serves properly.

    cut: sends half of what it announced. drop: closes at once. stall: sends half, then nothing. busy: HTTP 503.
    """

    content: bytes = CONTENT
    faults: list[str] = field(default_factory=list)
    ranges: bool = True
    tag: str | None = '"v1"'
    status: int = 200
    kind: str = "application/octet-stream"
    length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    redirect: dict[str, str] | None = None
    asked: list[str | None] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviour = Behaviour()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/folder/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        how = self.server.behaviour
        if how.redirect is not None and not self.path.endswith("?moved"):
            self.send_response(302)
            for name, value in {"Location": self.path + "?moved", **how.redirect}.items():
                self.send_header(name, value)
            self.end_headers()
            return
        asked = self.headers.get("Range")
        how.asked.append(asked)
        fault = how.faults.pop(0) if how.faults else ""
        if fault == "drop":
            return
        if fault == "busy" or how.status != 200:
            self.send_error(503 if fault == "busy" else how.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and how.ranges else 0
        fresh = not (start and self.headers.get("If-Range") == how.tag)
        start = 0 if fresh else start
        if start and start >= len(how.content):
            self.send_error(416)
            return
        self.send_response(200 if fresh else 206)
        body = how.content[start:]
        self.send_header("Content-Type", how.kind)
        if how.length:
            self.send_header("Content-Length", str(len(body)))
        if not fresh:
            self.send_header("Content-Range", f"bytes {start}-{len(how.content) - 1}/{len(how.content)}")
        if how.tag:
            self.send_header("ETag", how.tag)
        for name, value in how.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault in ("cut", "stall") else body)
        self.wfile.flush()
        if fault == "stall":
            time.sleep(1.5)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.behaviour = Behaviour()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def get(server: Server, folder: Path) -> Path:
    return fetch(server.url, folder, stall=0.5, pause=0.001)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_whole_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    assert get(server, folder).read_bytes() == CONTENT
    assert get(server, folder) == folder / "weights.pt"
    assert len(server.behaviour.asked) == 1
    assert leftovers(folder) == ["weights.pt"]


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path, fault: str) -> None:
    server.behaviour.faults = [fault]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.behaviour.asked == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("faults", [["drop", "busy", "drop"], ["cut"] * 12])
def test_passing_faults_are_tried_again(server: Server, tmp_path: Path, faults: list[str]) -> None:
    server.behaviour.faults = faults
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("ranges", "tag"), [(False, '"v1"'), (True, None), (True, 'W/"weak"')])
def test_without_ranges_or_a_tag_it_starts_again(
    server: Server, tmp_path: Path, ranges: bool, tag: str | None
) -> None:
    server.behaviour.ranges, server.behaviour.tag, server.behaviour.faults = ranges, tag, ["cut", "cut"]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_what_was_had_of_an_older_version_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.behaviour.faults = ["cut"] + ["drop"] * download.TRIES
    with pytest.raises(CheckpointError, match=r"broke off.*run again to go on"):
        get(server, tmp_path)
    assert leftovers(tmp_path) == ["weights.pt.partial", "weights.pt.partial.json"]
    server.behaviour = Behaviour(content=b"PK\x03\x04 and quite another version", tag='"v2"')
    assert get(server, tmp_path).read_bytes() == server.behaviour.content
    assert server.behaviour.asked == [f"bytes={HALF}-"]


def test_a_later_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.behaviour.faults = ["cut"] + ["drop"] * download.TRIES
    with pytest.raises(CheckpointError):
        get(server, tmp_path)
    server.behaviour.asked.clear()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.behaviour.asked == [f"bytes={HALF}-"]


def test_a_partial_file_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.partial").write_bytes(CONTENT + b"too much")
    (tmp_path / "weights.pt.partial.json").write_text(f'{{"url": "{server.url}", "tag": "\\"v1\\""}}')
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("notes", ["", "{", "[]", '{"url": "elsewhere", "tag": "\\"v1\\""}'])
def test_a_partial_file_of_unknown_origin_is_dropped(server: Server, tmp_path: Path, notes: str) -> None:
    (tmp_path / "weights.pt.partial").write_bytes(b"PK\x03\x04" + b"x" * HALF)
    (tmp_path / "weights.pt.partial.json").write_text(notes)
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.behaviour.asked == [None]


def test_a_server_that_always_cuts_short_gives_no_file(server: Server, tmp_path: Path) -> None:
    server.behaviour.faults, server.behaviour.ranges = ["cut"] * 50, False
    with pytest.raises(CheckpointError, match=f"{HALF} of {len(CONTENT)} bytes came"):
        get(server, tmp_path)
    assert not (tmp_path / "weights.pt").exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_told_at_once(server: Server, tmp_path: Path, status: int) -> None:
    server.behaviour.status = status
    with pytest.raises(CheckpointError, match=f"HTTP {status}.*--weights"):
        get(server, tmp_path)
    assert len(server.behaviour.asked) == 1
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("text/html", b"<!doctype html><p>Please log in", "found a web page"),
        ("application/octet-stream", b"<!doctype html><p>Please log in", "begins with b'<!do'"),
        ("application/octet-stream", b"", "begins with b''"),
        ("text/plain", b"version https://git-lfs.github.com/spec/v1", "begins with b'vers'"),
    ],
)
def test_another_thing_in_its_place_is_refused(
    server: Server, tmp_path: Path, kind: str, content: bytes, words: str
) -> None:
    server.behaviour.kind, server.behaviour.content = kind, content
    with pytest.raises(CheckpointError, match=words):
        get(server, tmp_path)
    assert leftovers(tmp_path) == []


def md5(content: bytes) -> dict[str, str]:
    return {"X-Goog-Hash": f"crc32c=AAAAAA==, md5={b64encode(hashlib.md5(content).digest()).decode()}"}


def sha(content: bytes) -> dict[str, str]:
    return {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"'}


def test_stated_digests_are_checked(server: Server, tmp_path: Path) -> None:
    server.behaviour.headers, server.behaviour.redirect = md5(CONTENT), sha(CONTENT)
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("headers", "redirect", "name"), [(md5(b"other"), None, "md5"), ({}, sha(b"other"), "sha256")]
)
def test_a_wrong_digest_is_refused(
    server: Server, tmp_path: Path, headers: dict[str, str], redirect: dict[str, str] | None, name: str
) -> None:
    server.behaviour.headers, server.behaviour.redirect = headers, redirect
    with pytest.raises(CheckpointError, match=f"its {name} is"):
        get(server, tmp_path)
    assert leftovers(tmp_path) == []


def test_no_stated_length_is_no_fault(server: Server, tmp_path: Path) -> None:
    server.behaviour.length = False
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_no_server_at_all(tmp_path: Path) -> None:
    with Server(("127.0.0.1", 0), Handler) as gone:
        url = gone.url
    with pytest.raises(CheckpointError, match="Connection refused"):
        fetch(url, tmp_path, pause=0.001)


def test_two_downloads_of_one_file_do_not_mix(server: Server, tmp_path: Path) -> None:
    with locked(tmp_path / "weights.pt"), pytest.raises(OutputError, match="another process"):
        get(server, tmp_path)


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1/weights.pt", "ftp://127.0.0.1/weights.pt", "file:///etc/passwd", "http://[", "\x1b[31m:"]
)
def test_https_is_never_left(to: str) -> None:
    asked = urllib.request.Request("https://example.org/weights.pt")
    with pytest.raises((CheckpointError, ValueError)) as caught:
        download._KeepHeaders().redirect_request(asked, io.BytesIO(), 302, "Found", Message(), to)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("digest", ["md5=no base64!", "md5=x", "md5==", "md5=\xff"])
def test_a_digest_that_is_none_is_one_line(server: Server, tmp_path: Path, digest: str) -> None:
    server.behaviour.headers = {"X-Goog-Hash": digest}
    with pytest.raises(CheckpointError) as caught:
        get(server, tmp_path)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "weights.pt").exists()


@pytest.mark.parametrize("to", ["http://[::1/x", "http://127.0.0.1:port/x", "file:///etc/passwd"])
def test_a_redirect_to_nowhere_is_one_line(server: Server, tmp_path: Path, to: str) -> None:
    server.behaviour.redirect = {"Location": to}
    with pytest.raises(CheckpointError) as caught:
        get(server, tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("length", [True, False])
def test_no_more_than_a_checkpoint_is_taken(
    server: Server, tmp_path: Path, length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LARGEST", HALF)
    server.behaviour.length = length
    with pytest.raises(CheckpointError, match=f"expected at most {HALF}|more than {HALF} bytes came"):
        get(server, tmp_path)
    assert leftovers(tmp_path) == []


def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        get(server, tmp_path / "file" / "cache")


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMOTION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder().name == "samotion"
    monkeypatch.setenv("SAMOTION_CACHE", "/elsewhere/weights")
    assert cache_folder() == Path("/elsewhere/weights")

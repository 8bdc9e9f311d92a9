"""Weights from their publishers: downloads that resume, and that are never taken for whole when they are not.

Written on urllib because pooch, which would otherwise do, starts a broken download again from the first byte and
checks against hashes known beforehand, while these publishers state theirs, if at all, only with the file.
"""

import hashlib
import http.client
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from samotion.engines.atomic import locked
from samotion.engines.errors import CheckpointError

BLOCK = 1 << 20
# A stalled connection is given up after this long, and taken up again where it broke off.
STALL_SECONDS = 30.0
TRIES = 5
PAUSE_SECONDS = 1.0
# What a checkpoint starts with: a zip archive (torch.save since 1.6) or a bare pickle (before).
MAGIC = (b"PK\x03\x04", b"\x80")
LARGEST = 4 << 30  # bytes; the largest published checkpoint has 1.3e9
YOURSELF = "download the file yourself and name its folder with --weights"
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class _Broken(Exception):
    """The connection broke or answered with a passing error; another try may go on."""


@dataclass(frozen=True)
class _Reply:
    """What a server says of the file: whole size (None: unsaid), entity tag, digests by hashlib's name."""

    size: int | None
    tag: str | None
    digests: Mapping[str, str]
    start: int


class _KeepHeaders(urllib.request.HTTPRedirectHandler):
    """Keeps the digest that Hugging Face states on its redirect, before the storage behind it answers."""

    def __init__(self) -> None:
        self.linked: str | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follow as usual, but never from https to anything else."""
        if urllib.parse.urlsplit(newurl).scheme not in ("https", req.type):
            raise CheckpointError(f"{req.full_url}: redirects to {ascii(newurl)[1:-1]:.200}, not https", YOURSELF)
        self.linked = headers.get("X-Linked-Etag") or self.linked
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, folder: Path, *, stall: float = STALL_SECONDS, pause: float = PAUSE_SECONDS) -> Path:
    """Return the file at ``url``, kept in ``folder`` under its own name; downloaded unless it is there already.

    A broken download goes on where it stopped, also in a later run. Size, and the digest where the host states
    one (Google's storage: MD5, Hugging Face: SHA-256), are checked before the file gets its name. stall: seconds
    without data after which a connection counts as broken; pause: before the second try, doubled each time.
    Raises CheckpointError saying what is wrong and what to do, OutputError where another process downloads the file.
    """
    path = folder / url.rpartition("/")[2]
    if path.is_file():
        return path
    partial = path.with_name(path.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(path):  # no two processes may write the same partial file
            if not path.is_file():
                _persist(url, partial, stall, pause)
                partial.replace(path)
                _notes(partial).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error}); free space") from error
    return path


def _persist(url: str, partial: Path, stall: float, pause: float) -> None:
    """Fill ``partial``, trying again where the connection breaks; only tries that bring nothing are counted."""
    most = failures = 0
    while True:
        try:
            return _transfer(url, partial, stall)
        except _Broken as error:
            kept = partial.stat().st_size if partial.exists() else 0
            failures = 0 if kept > most else failures + 1
            most = max(most, kept)
            if failures == TRIES:
                raise CheckpointError(
                    f"{url}: the download broke off ({error}); {kept / 1e6:.0f} MB are kept: run again to go on, "
                    "or download the file yourself and name its folder with --weights"
                ) from error
            time.sleep(pause * 2**failures)


def _notes(partial: Path) -> Path:
    """Return the file that says which version of the file ``partial`` began as."""
    return partial.with_name(partial.name + ".json")


def _transfer(url: str, partial: Path, stall: float) -> None:
    """Bring ``partial`` to its whole size and check it; raises _Broken where another try may help."""
    have, tag = _so_far(partial, url)
    request = urllib.request.Request(url, headers={"User-Agent": "samotion", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag)
    keeper = _KeepHeaders()
    try:
        with urllib.request.build_opener(keeper).open(request, timeout=stall) as answer:
            reply = _read_reply(url, answer, keeper.linked, have)
            _notes(partial).write_text(json.dumps({"url": url, "tag": reply.tag}), encoding="utf-8")
            _receive(answer, partial, reply)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the partial file is longer than the file is now
            partial.unlink(missing_ok=True)
            raise _Broken("the file has changed") from error
        if error.code in TRANSIENT:
            raise _Broken(f"HTTP {error.code}") from error
        raise CheckpointError(f"{url}: HTTP {error.code} {ascii(error.reason)[1:-1]:.200}", YOURSELF) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Broken(ascii(str(getattr(error, "reason", error)))[1:-1] or type(error).__name__) from error
    except ValueError as error:  # headers and addresses that are none
        raise CheckpointError(f"{url}: no sound answer ({ascii(str(error))[1:-1]:.200})", YOURSELF) from error
    _check(url, partial, reply)


def _so_far(partial: Path, url: str) -> tuple[int, str]:
    """Return how many bytes of ``partial`` can be kept and the tag of the version they belong to."""
    try:
        notes = json.loads(_notes(partial).read_text(encoding="utf-8"))
        # Without a strong tag nobody can say that the rest belongs to the same version.
        if notes["url"] == url and notes["tag"] and not notes["tag"].startswith("W/"):
            return partial.stat().st_size, notes["tag"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    partial.unlink(missing_ok=True)
    return 0, ""


def _read_reply(url: str, answer: Any, linked: str | None, have: int) -> _Reply:
    """Return what the headers say; raises CheckpointError for a web page in the file's place."""
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise CheckpointError(
            f"{url}: found a web page, expected a file of weights; a login or a proxy may stand between. "
            "Download the file yourself and name its folder with --weights"
        )
    start, size = 0, int(headers["Content-Length"]) if headers.get("Content-Length", "").isdecimal() else None
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise _Broken("the server sent another part than asked for")
        start, size = have, int(found[2])
    if size is not None and size > LARGEST:
        raise CheckpointError(f"{url}: {size} bytes, expected at most {LARGEST}: no published checkpoint", YOURSELF)
    digests = {}
    if linked and re.fullmatch(r'"?[0-9a-f]{64}"?', linked):
        digests["sha256"] = linked.strip('"')
    for part in ",".join(headers.get_all("X-Goog-Hash", [])).split(","):
        name, _, value = part.strip().partition("=")
        if name == "md5":
            digests["md5"] = b64decode(value, validate=True).hex()
    return _Reply(size, headers.get("ETag"), digests, start)


def _receive(answer: Any, partial: Path, reply: _Reply) -> None:
    """Append the answer to ``partial``, or write it afresh; raises _Broken if it ends early."""
    bar = tqdm(
        total=reply.size,
        initial=reply.start,
        desc=partial.name.removesuffix(".partial"),
        unit="B",
        unit_scale=True,
        disable=not sys.stderr.isatty(),
    )
    with partial.open("ab" if reply.start else "wb") as file, bar:
        while file.tell() <= LARGEST and (block := answer.read1(BLOCK)):
            file.write(block)
            bar.update(len(block))
    got = partial.stat().st_size
    if reply.size is not None and got < reply.size:
        raise _Broken(f"{got} of {reply.size} bytes came")


def _check(url: str, partial: Path, reply: _Reply) -> None:
    """Raise CheckpointError, and drop the file, unless it has its size and digest and begins as a checkpoint."""
    fault = None
    size = partial.stat().st_size
    with partial.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if size > LARGEST:
            fault = f"more than {LARGEST} bytes came"
        elif reply.size is not None and size != reply.size:
            fault = f"found {size} bytes, expected {reply.size}"
        elif not head.startswith(MAGIC):
            fault = f"begins with {head!r}, which no PyTorch checkpoint does"
        else:
            for name, wanted in reply.digests.items():
                found = hashlib.file_digest(file, name).hexdigest()
                file.seek(0)
                if found != wanted:
                    fault = f"its {name} is {found}, the publisher states {wanted}"
    if fault:
        partial.unlink()
        _notes(partial).unlink(missing_ok=True)
        raise CheckpointError(
            f"{url}: damaged or not the file of weights: {fault}; run again, or download it yourself"
        )

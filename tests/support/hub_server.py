"""A server on this machine that speaks as much of Hugging Face's API as a download asks for."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = hashlib.sha1(b"a commit").hexdigest()


class HubServer(ThreadingHTTPServer):
    """Serves the files of one folder as the repository org/tiny. asked: the paths of all requests."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def served(folder: Path) -> Iterator[HubServer]:
    """Serve ``folder``."""
    with HubServer(folder) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        files = sorted(file for file in self.server.folder.iterdir() if file.is_file())
        resolved = {f"/org/tiny/resolve/{at}/{file.name}": file for file in files for at in (COMMIT, "main")}
        if path in ("/api/models/org/tiny", "/api/models/org/tiny/revision/main"):
            about = {"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": file.name} for file in files]}
            self._send(json.dumps(about).encode(), with_body)
        elif path.startswith("/api/models/org/tiny/tree/"):
            tree = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)} for file in files
            ]
            self._send(json.dumps(tree).encode(), with_body)
        elif path in resolved:
            self._send(resolved[path].read_bytes(), with_body, _etag(resolved[path]))
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, body: bytes, with_body: bool, etag: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()

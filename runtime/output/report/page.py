"""The report: one page, with nothing from elsewhere, to look at what was found in a clip."""

import gzip
import html
import json
import logging
import re
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samotion.runtime.output.formats.format import MaskFrame, Target
from samotion.runtime.output.palette import davis_palette
from samotion.runtime.output.record import Record
from samotion.runtime.output.report.film import Film
from samotion.runtime.output.report.packing import MOST_TRACKS, TrackWindow, mask_runs, packed_tracks
from samotion.runtime.values import Bytes, Playback

log = logging.getLogger(__name__)

NAME = "report.html"
LONGEST = 960  # pixels of the page's frames
MOST_FRAMES = 3000  # in one page, which a browser holds in memory
BLOCK = 3 << 16  # bytes that are encoded at a time: whole groups of base64
FOLDER = Path(__file__).parent


class Page:
    """report.html of one result, frame by frame in the memory of one; close() removes what is unfinished.

    target: as formats have it. playback: how pixels are shaped. Raises OSError where writing fails.
    """

    def __init__(self, target: Target, playback: Playback) -> None:
        self._folder = target.folder
        self._stack = ExitStack()
        parts = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="report-", dir=target.folder)))
        self._size = page_size(target.clip.size, float(playback.aspect))
        self._rate = target.clip.fps / target.stride
        self._paths = {name: parts / name for name in ("film", "runs", "tracks")}
        self._film = Film(self._paths["film"], self._rate, self._size)
        self._stack.callback(self._film.close)
        self._runs, self._tracks = (
            self._stack.enter_context(gzip.GzipFile(self._paths[name], "wb", mtime=0)) for name in ("runs", "tracks")
        )
        self._windows: list[TrackWindow] = []
        self._frames = 0
        self._depth = False

    def add(self, frame: MaskFrame) -> None:
        """Take the next frame; those after MOST_FRAMES are left out, with a warning."""
        if frame.number == MOST_FRAMES:
            log.warning("%s shows the first %d frames; the other files have all", NAME, MOST_FRAMES)
        if frame.number >= MOST_FRAMES:
            return
        if frame.index == 0:
            window, tracks = packed_tracks(frame.window, frame.number, self._size)
            self._windows.append(window)
            self._tracks.write(tracks)
        self._frames += 1
        self._film.add(self._picture(frame), self._depth_picture(frame))
        labels = cv2.resize(frame.labels, self._size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        self._runs.write(mask_runs(np.asarray(labels, np.uint16)))

    def finish(self, facts: dict[str, Any], record: Record) -> None:
        """Write the page. facts: what result.json says, but for the objects. record: has these."""
        self._film.finish()
        self._runs.close()
        self._tracks.close()
        style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
        parts: dict[str, Iterable[str]] = {
            "title": [html.escape(facts["input"]["name"])],
            "style": [style],
            "script": [script],
            "data": [_in_script(self._data(facts, record))],
            **{name: _base64(path) for name, path in self._paths.items()},
        }
        template = (FOLDER / "page.html").read_text(encoding="utf-8")
        with (self._folder / NAME).open("w", encoding="utf-8") as page:
            for piece in re.split(r"(\{\{\w+\}\})", template):
                for text in parts[piece[2:-2]] if piece.startswith("{{") else [piece]:
                    page.write(text)

    def close(self) -> None:
        """Remove the parts, and close what is open, also after a failure."""
        self._stack.close()

    def _picture(self, frame: MaskFrame) -> Bytes:
        picture = cv2.resize(frame.window.clip.frames[frame.index], self._size[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(picture, np.uint8)

    def _depth_picture(self, frame: MaskFrame) -> Bytes:
        """Return the depth of a frame in grey, bright where it is near, and black where there is none."""
        if frame.depth is None:
            return np.zeros((*self._size, 3), np.uint8)
        self._depth = True
        grey = cv2.resize(frame.depth, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)

    def _data(self, facts: dict[str, Any], record: Record) -> dict[str, Any]:
        """Return what the page reads beside frames, masks and tracks."""
        source, height, width = facts["input"], *self._size
        cut = any(window.count < window.found for window in self._windows)
        kept = ("id", "score", "start", "state")
        return {
            "message": facts["message"],
            "width": width,
            "height": height,
            "rate": float(self._rate),
            "depth": self._depth,
            "frames": source["frames"][: self._frames],
            "times": source["times"][: self._frames],
            "objects": [{name: found[name] for name in kept} for found in record.objects()],
            "colours": davis_palette()[1:].tolist(),
            "windows": [window.facts() for window in self._windows],
            "sample": f"At most {MOST_TRACKS} tracks of a window are drawn, evenly taken." if cut else "",
            "seconds": facts["seconds"],
            "warnings": facts.get("warnings", []),
            "facts": _described(facts),
            "settings": facts.get("settings", {}),
        }


def page_size(size: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Return the height and width of the page's frames: even, of square pixels, the longest side LONGEST at most."""
    height, width = size[0], size[1] * aspect
    scale = min(1.0, LONGEST / max(height, width))
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))


def _described(facts: dict[str, Any]) -> dict[str, Any]:
    """Return in words what the result is of."""
    source, bundle = facts["input"], facts.get("bundle", {})
    size, used = source["source_size"], source["frame_size"]
    return {
        "Input": source.get("path", source["name"]),
        "Size": f"{size['width']}×{size['height']}, worked on at {used['width']}×{used['height']}",
        "Rate": f"{source['fps']:g} frames a second",
        "Frames": f"{len(source['frames'])} of {source['source_frames']}",
        "Networks": " ".join(str(bundle[name]) for name in ("name", "digest", "precision") if name in bundle),
        "Provider": bundle.get("provider", ""),
        "Program": f"{facts['program']} {facts['version']}",
    }


def _in_script(data: dict[str, Any]) -> str:
    """Return JSON that cannot end the script element around it."""
    return json.dumps(data).replace("<", "\\u003c")


def _base64(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield b64encode(block).decode("ascii")

"""Writing of a result, window by window: masks, overlay, tracks and facts of one input, all of it or nothing."""

import json
import logging
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from samotion.engines.atomic import atomic_folder
from samotion.engines.errors import OutputError
from samotion.runtime.output.formats.catalogue import DEFAULT, chosen_formats, is_format_file
from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.overlay import Overlay
from samotion.runtime.output.record import Record, write_json
from samotion.runtime.output.report.page import NAME as REPORT
from samotion.runtime.output.report.page import Page
from samotion.runtime.values import Bool, Clip, ClipResult, Int, Labels, Playback, State, WindowResult
from samotion.runtime.version import PROGRAM, version

log = logging.getLogger(__name__)

RECORD = "result.json"
FILES = ("overlay.mp4", "tracks.npz", REPORT, RECORD)


class ResultWriter:
    """OUT/<name> as it comes to be; a context manager. An earlier result is replaced once this one is whole.

    The formats that were asked for, each in files of its own. overlay.mp4: at the size of the processed frames.
    tracks.npz: xy in pixels of the processed frames, those of the second window as xy_1 and so on. result.json: what
    finish() is given plus what was found; windows are [first, end) among the processed frames; each object's lists
    begin at processed frame ``start``; boxes are [x0, y0, x1, y1] with x1, y1 exclusive, areas count pixels, both at
    source size, null and 0 where an object is not seen.

    report: whether report.html is among the files. formats: names in FORMATS. dilate: pixels by which the masks grow
    that are for leaving movers out. Raises SettingsError for an unknown format and one whose package is missing, and
    OutputError.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        overlay: bool = True,
        playback: Playback | None = None,
        formats: Sequence[str] = DEFAULT,
        dilate: int = 0,
        report: bool = False,
    ) -> None:
        self.record = Record()
        self._kinds = chosen_formats(formats, dilate)
        self._dilate = dilate
        self._formats: dict[str, Format] = {}
        self._playback = playback or Playback()
        self._target = out / name
        self._page: Page | None = None
        self._with_report = report
        self._overlay: Overlay | None = None
        self._with_overlay = overlay
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(atomic_folder(self._target, must_be_result))
            tracks = zipfile.ZipFile(self._folder / "tracks.npz", "w", zipfile.ZIP_DEFLATED)
            self._tracks = stack.enter_context(tracks)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, window: WindowResult) -> None:
        """Write what the next window adds."""
        begin = self.record.frames
        self.record.add_frames(window)
        if not begin:
            self._begin_formats(window.clip)
        for index in range(len(window.clip.frames)):
            labels = source_labels(window, index)
            for identity in window.identities:
                self.record.add_object(int(identity), begin + index, labels == identity)
            frame = MaskFrame(labels, begin + index, window, index)
            for own in self._formats.values():
                own.add(frame)
            if self._page is not None:
                self._page.add(frame)
        if self._with_overlay:
            if self._overlay is None:
                self._overlay = self._stack.enter_context(
                    Overlay(self._folder / "overlay.mp4", window.clip, self._playback)
                )
            self._overlay.add(window.clip, lambda t: labels_of(window.masks.values[:, t], window.identities))
        self._write_tracks(window)

    def finish(self, about: dict[str, Any], source_frames: int) -> Path:
        """Write the facts and return the folder's name to be; source_frames: how many frames the source has."""
        source = {**about.get("input", {}), **self.record.input(source_frames)}
        names = source.get("files") or [f"{number:05d}.png" for number in source["frames"]]
        written = {name: own.finish(self.record, names) for name, own in self._formats.items()}
        record = {
            "program": PROGRAM,
            "version": version(),
            **about,
            "message": self.summary,
            "input": source,
            "formats": written,
            "windows": self.record.windows,
            "objects": self.record.objects(),
            "seconds": {stage: round(seconds, 4) for stage, seconds in self.record.seconds.items()},
        }
        if self._page is not None:
            self._page.finish(record, self.record)
            self._page.close()
        write_json(self._folder / RECORD, record)
        return self._target

    @property
    def summary(self) -> str:
        """In words what was found."""
        return summary(self.record.count, self.record.frames)

    def _begin_formats(self, clip: Clip) -> None:
        stride = int(clip.source_index[1] - clip.source_index[0]) if len(clip.source_index) > 1 else 1
        target = Target(self._folder, clip.part(slice(0)), stride, self._dilate)
        for name, kind in self._kinds.items():
            self._formats[name] = kind(target)
            self._stack.callback(self._formats[name].close)
        if self._with_report:
            self._page = Page(target, self._playback)
            self._stack.callback(self._page.close)

    def _write_tracks(self, window: WindowResult) -> None:
        number = len(self.record.windows) - 1
        arrays = {
            "xy": window.tracks.xy,
            "visible": window.tracks.visible,
            "confidence": window.tracks.confidence,
            "probability": window.labels.probability,
            "dynamic": window.labels.dynamic,
            "query_frame": window.tracks.query_frame,
        }
        for name, values in arrays.items():
            entry = f"{name}_{number}.npy" if number else f"{name}.npy"
            with self._tracks.open(entry, "w", force_zip64=True) as file:  # as numpy.savez writes it
                np.lib.format.write_array(file, values, allow_pickle=False)


def must_be_result(folder: Path) -> None:
    """Raise OutputError where ``folder`` holds anything but an earlier result of this program, naming it."""
    if not any(folder.iterdir()):
        return
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("program") != PROGRAM:
        raise OutputError(f"{folder}: exists and is no earlier result of {PROGRAM}", "move it or choose another -o")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in FILES and not is_format_file(name):
            raise OutputError(f"{folder}: holds {name}, which is not of {PROGRAM}", "move it or choose another -o")


def write_result(result: ClipResult, out: Path, about: dict[str, Any], overlay: bool = True) -> Path:
    """Write OUT/<clip name> as ResultWriter describes it, all at once, and return it. Raises OutputError."""
    identities = np.arange(1, len(result.masks.values) + 1)
    scores = np.zeros(len(identities), np.float32)
    states = np.where(result.masks.values.any(axis=(2, 3)), State.STILL, State.LOST).astype(np.uint8)  # nobody asked
    window = WindowResult(
        result.clip, identities, result.masks, scores, states, result.tracks, result.labels, 0, result.seconds, 0.0
    )
    with ResultWriter(out, result.clip.name, overlay) as writer:
        writer.add(window)
        return writer.finish(about, result.clip.source_count)


def label_map(result: ClipResult, index: int) -> Labels:
    """Return (H, W) ids of one frame at its own size: 0 background, k+1 object k, lower ids on top."""
    masks = result.masks.values[:, index]
    return labels_of(masks, np.arange(1, len(masks) + 1))


def source_labels(window: WindowResult, index: int) -> Labels:
    """Return ids (H, W) at the source's size of one of the window's frames; see labels_of."""
    labels = labels_of(window.masks.values[:, index], window.identities)
    if labels.shape == window.clip.source_size:
        return labels
    larger = cv2.resize(labels, window.clip.source_size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(larger, np.uint8) if larger.dtype == np.uint8 else np.asarray(larger, np.uint16)


def labels_of(masks: Bool, identities: Int) -> Labels:
    """Return (H, W) ids, 0 background, of masks (K, H, W) whose identities (K,) ascend; lower ids are on top."""
    small = identities.max(initial=0) <= np.iinfo(np.uint8).max
    labels: Labels = np.zeros(masks.shape[1:], np.uint8 if small else np.uint16)
    for mask, identity in zip(reversed(masks), reversed(identities), strict=True):
        labels[mask] = identity
    return labels


def summary(count: int, frames: int) -> str:
    """Return in words that ``count`` objects were found in so many frames."""
    if count:
        return f"{count} moving object{'s' if count > 1 else ''} in {frames} frames"
    if frames == 1:
        return "1 frame: nothing can be said to move"
    return f"nothing moves in {frames} frames"

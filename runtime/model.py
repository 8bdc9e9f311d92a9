"""The public entry: a bundle's networks, ready for one input after the other."""

import dataclasses
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.engines.hub import bundle_folder
from samotion.runtime.machine import MEMORY_SHARE, machine_memory
from samotion.runtime.pipeline import Follower
from samotion.runtime.progress import BarProgress, CallbackProgress, Progress
from samotion.runtime.result import Result
from samotion.runtime.settings import Settings
from samotion.runtime.sources.arrays import ArraySource
from samotion.runtime.sources.live import is_live
from samotion.runtime.sources.open import IMAGE_FPS, open_source
from samotion.runtime.sources.prefetch import FramesAhead
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.windows import cut
from samotion.runtime.values import Bytes, WindowResult

Input = str | Path | Bytes | Iterable[Bytes]
AHEAD = 32  # frames read ahead while a window is computed
Rate = float | Fraction
Callback = Callable[[str, int, int], None]


def load(bundle: str | Path | None = None, provider: str = "cpu", threads: int = 0, **settings: Any) -> "Model":
    """Return the networks of one bundle, every file checked against its hash.

    Args:
        bundle: a folder that samotion-export wrote, or a Hugging Face repository such as "org/name"; None takes the
            ``nano`` bundle that comes with the package.
        provider: "cpu", "cuda", "tensorrt" or "tensorrt-rtx". There is no fall-back to another one.
        threads: CPU threads in all; 0 takes every core.
        **settings: fields of samotion.runtime.settings.Settings, such as ``window=48`` or ``seed=1``.

    Raises:
        SamotionError: for a missing or damaged bundle, a provider that is not there, a setting that is unknown or out
            of range. Its text is one line that says what to do.

    Examples:
        >>> with samotion.load(max_frames=100) as model:
        ...     result = model("dog.mp4")
    """
    Settings().override(settings)  # reported before anything loads
    loaded = Bundle.load(bundle_folder(bundle), provider=provider, threads=threads)
    return Model(loaded, Settings().override(loaded.settings).override(settings))


class Model:
    """Finds what moves by itself in one input after the other. A context manager; threads may share one.

    settings: the constants in force. Inputs that threads hand over at the same time take turns, window by window.
    After close(), and in a child process made by a fork, a call raises EngineError.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self.settings = settings
        self._bundle = bundle
        self._turn = threading.Lock()

    def __call__(self, source: Input, *, fps: Rate = IMAGE_FPS, progress: Callback | bool = False) -> Result:
        """Return everything that moves by itself in ``source``; the same input and seed give the same masks.

        Args:
            source: a video file, a folder of images, a printf pattern, an array of frames (T, H, W, 3) uint8 RGB, or
                an iterable of frames (H, W, 3).
            fps: frames a second of images and arrays; videos state their own.
            progress: True shows a bar with the time left, also in notebooks. A function is called with a stage's
                name, its steps done and its steps in all; what it raises ends the run.

        Returns:
            The objects with their masks. Nothing moves: no objects.

        Raises:
            SamotionError: for an input that cannot be read, or whose frames and masks do not fit in memory.
        """
        if isinstance(source, str) and is_live(source):
            raise InputError(f"{source} has no end; take its masks window by window from model.stream()")
        opened = self._open(source, fps)
        windows: list[WindowResult] = []
        with closing(self._windows(opened, progress)) as results:
            for window in results:
                windows.append(window)
                _require_room(windows, opened.label)
        return Result(windows, self._about(opened))

    def stream(
        self, source: Input, *, fps: Rate = IMAGE_FPS, progress: Callback | bool = False
    ) -> Generator[WindowResult, None, None]:
        """Yield what each window adds as soon as it is known, in the memory of one window.

        Takes what a call takes, and sources without an end: ``camera:0``, ``rtsp://…``. Closing the iterator, or an
        exception, ends the reading. Args and Raises: see ``__call__``.
        """
        return self._windows(self._open(source, fps), progress)

    def close(self) -> None:
        """Free the networks, once a window that is being worked on is done."""
        with self._turn:
            self._bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, source: Input, fps: Rate) -> Source:
        self._bundle.require_open()
        rate = _rate(fps)
        if isinstance(source, str | Path):
            return open_source(source, self.settings, rate)
        if isinstance(source, np.ndarray) and source.ndim != 4:
            raise InputError(f"frames are {source.dtype} {source.shape}, expected uint8 (frames, height, width, 3)")
        if not isinstance(source, Iterable):
            found = type(source).__name__
            raise InputError(f"the source is {found}, expected a path, an array or an iterable of frames")
        return ArraySource(source, "frames", self.settings, rate)

    def _windows(self, source: Source, progress: Callback | bool) -> Generator[WindowResult, None, None]:
        told = _progress(progress, source)
        follower = Follower(self._bundle, self.settings, told)
        with told, FramesAhead(source, self.settings.window or AHEAD) as ahead:
            for window in cut(source, ahead, self.settings):
                if not window.start:
                    told.expect(source.estimated, self.settings.window, self.settings.overlap)
                self._bundle.require_open()  # before the lock, which a fork may have left taken
                with self._turn:
                    found = follower.window(window)
                yield found

    def _about(self, source: Source) -> dict[str, Any]:
        bundle = self._bundle
        facts = {"name": bundle.name, "digest": bundle.digest, "precision": bundle.manifest.precision}
        return {
            "bundle": {**facts, "provider": bundle.provider},
            "input": {"path": source.label, **source.facts()},
            "settings": dataclasses.asdict(self.settings),
        }


def _rate(fps: Rate) -> Fraction:
    """Return frames a second as containers state them; raises InputError."""
    try:
        rate = Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError):  # no number, not a number, infinite
        rate = Fraction(0)
    if not rate > 0:
        raise InputError(f"fps is {fps!r:.40}, expected a number above 0")
    return rate


def _progress(wanted: Callback | bool, source: Source) -> Progress:
    """Return what tells of the work on ``source``."""
    if callable(wanted):
        return CallbackProgress(wanted)
    return BarProgress(sys.stderr, source.name) if wanted else Progress()


def _require_room(windows: list[WindowResult], label: str) -> None:
    """Raise InputError where so long a result would not fit in memory as one."""
    need, have = sum(window.clip.frames.nbytes + window.masks.values.nbytes for window in windows), machine_memory()
    if have is not None and need > MEMORY_SHARE * have:
        frames = sum(len(window.clip.frames) for window in windows)
        raise InputError(
            f"{label}: {frames} frames with their masks take {need / 2**30:.1f} GiB of {have / 2**30:.1f} GiB here; "
            "take them window by window from model.stream(), or shrink them with max_side or max_frames"
        )

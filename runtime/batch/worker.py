"""One bundle that works on one input of a job after the other, in this process or in one of many."""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SamotionError
from samotion.engines.manifest import EMBEDDED, Manifest, read
from samotion.engines.program import one_line
from samotion.runtime.batch.fingerprint import fingerprint, request_of
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import DONE, FAILED, Outcome
from samotion.runtime.batch.stretch import Stretch, go_through
from samotion.runtime.console import Warnings, message_of, note
from samotion.runtime.job import Job, process
from samotion.runtime.progress import progress_on
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import open_source
from samotion.runtime.sources.source import Source
from samotion.runtime.version import version


@dataclass(frozen=True)
class Request:
    """Everything that is asked of a job but its inputs; it can be sent to another process.

    engines: the bundle's folder, None for the shipped one. settings: those that the user gave. fps: of images.
    memory: bytes, None for no limit. hashed: inputs are known again by their bytes. quiet: without progress.
    """

    engines: Path | None
    provider: str
    threads: int
    published: bool
    settings: Mapping[str, Any]
    out: Path
    fps: Fraction
    memory: int | None
    formats: Sequence[str]
    dilate: int
    report: bool
    overlay: bool
    audio: bool
    hashed: bool
    quiet: bool


def asked(request: Request) -> str:
    """Return a short hash of engines, settings and outputs: results with the same answer the same question.

    Raises BundleError where there is no bundle, SettingsError.
    """
    manifest = read(request.engines or EMBEDDED)
    return request_of(
        {
            "version": version(),
            "bundle": manifest.digest_for(request.provider),
            "provider": request.provider,
            "settings": dataclasses.asdict(_settings(request, manifest)),
            "formats": [*request.formats, request.dilate],
            "outputs": [request.report, request.overlay, request.audio, request.memory, str(request.fps)],
        }
    )


def _settings(request: Request, manifest: Manifest) -> Settings:
    stated = Settings.published() if request.published else Settings().override(manifest.settings)
    # What the motion network is given is no choice: its graph has that input or not.
    stated = stated.override({"against_camera": manifest.settings.get("against_camera", False)})
    return stated.override(request.settings)


class Worker:
    """A loaded bundle; a context manager. note: receives lines for the user. Raises what Bundle.load does."""

    def __init__(self, request: Request, note: Callable[[str], None]) -> None:
        self._request = request
        self._note = note
        self._bundle = Bundle.load(request.engines, provider=request.provider, threads=request.threads)
        self._settings = _settings(request, self._bundle.manifest)
        if (precision := self._bundle.manifest.precision) != "float32":
            note(f"{self._bundle.name} {self._bundle.digest} is {precision}")
        self._asked = asked(request)

    def run(self, item: Input, change: Callable[[Job], Job] = lambda job: job) -> Outcome:
        """Find what moves in one input and write OUT/<name>. Threads may share a worker.

        change: of how it is done. Raises SamotionError.
        """
        begun, request = time.perf_counter(), self._request
        source = self._opened(item, self._settings)
        if not request.audio:
            source.playback.audio = None
        marks = fingerprint(item.path, request.hashed)

        def about() -> dict[str, Any]:
            facts = {"bundle": self._facts(), "request": self._asked, "input": {"path": source.label, **marks}}
            return facts | {"warnings": list(warnings.lines)}

        with Warnings() as warnings, progress_on(sys.stderr, one_line(item.name), request.quiet) as progress:
            job = Job(
                self._bundle,
                self._settings,
                request.out,
                request.overlay,
                request.memory,
                progress,
                self._note,
                about,
                formats=request.formats,
                dilate=request.dilate,
                report=request.report,
            )
            done = process(source, change(job))
        return Outcome(DONE, done.line, done.objects, done.frames, time.perf_counter() - begun)

    def go(self, stretch: Stretch) -> Outcome:
        """Go through a stretch of one input. Raises SamotionError."""
        begun = time.perf_counter()
        windows = go_through(stretch, lambda: self._opened(stretch.item, stretch.settings), self._bundle)
        return Outcome(DONE, f"{windows} windows", seconds=time.perf_counter() - begun)

    def close(self) -> None:
        """Free the bundle."""
        self._bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, item: Input, settings: Settings) -> Source:
        source = open_source(item.path, settings, self._request.fps)
        source.name = item.name
        return source

    def _facts(self) -> dict[str, str]:
        bundle = self._bundle
        facts = {"name": bundle.name, "digest": bundle.digest, "precision": bundle.manifest.precision}
        return facts | {"provider": bundle.provider}


class IsolatedWorker:
    """A worker in a process of its own, which loads its bundle when it is first needed."""

    def __init__(self, request: Request) -> None:
        self._request = replace(request, quiet=True)
        self._worker: Worker | None = None

    def run(self, item: Input | Stretch) -> Outcome:
        """Return what became of an input, or a stretch of one; a bug in it is its failure, not the job's."""
        try:
            self._worker = self._worker or Worker(self._request, note)
            return self._worker.go(item) if isinstance(item, Stretch) else self._worker.run(item)
        except SamotionError as error:
            return Outcome(FAILED, message_of(error))
        except Exception as error:
            return Outcome(FAILED, f"a bug: {type(error).__name__}: {message_of(error)}")

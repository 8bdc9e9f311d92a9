"""One long video on many workers: stretches of it side by side, joined by the objects on the frames they share."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from samotion.engines.atomic import working_folder
from samotion.engines.errors import EngineError, InputError
from samotion.runtime.batch.dispatch import Dispatcher, Pool
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import FAILED, Outcome
from samotion.runtime.batch.saved_window import load
from samotion.runtime.batch.stretch import Stretch, division
from samotion.runtime.batch.worker import Worker
from samotion.runtime.console import note
from samotion.runtime.identity.seams import Renaming, Seam
from samotion.runtime.job import Job
from samotion.runtime.memory_budget import DEFAULT
from samotion.runtime.pipeline import stream
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.live import is_live, public
from samotion.runtime.sources.packet_index import PacketIndex
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.video_file import VideoSource
from samotion.runtime.sources.windows import Window
from samotion.runtime.time_left import window_lengths
from samotion.runtime.values import WindowResult

ALONE = "a worker saw other frames in it than there are, so one process does it"


@dataclass(frozen=True)
class Splitting:
    """How inputs are split: in at most ``count`` stretches, on the workers of ``pool``.

    limit: seconds that one stretch may take, None for any. share: how many workers share this machine's memory.
    """

    pool: Pool[Stretch, Any]
    count: int
    limit: float | None
    share: int

    def run(self, worker: Worker, item: Input) -> Outcome:
        """Find what moves in one input and write OUT/<name>. Raises SamotionError."""
        if is_live(item.path):
            raise InputError(f"{public(item.path)}: has no end, and --split needs one")
        try:
            return worker.run(item, _Split(self, item).change)
        except FramesDiffer:  # found by other numbers, or what damage left depends on what was decoded before
            note(f"{item.path}: {ALONE}")
            return worker.run(item)


class FramesDiffer(Exception):
    """A worker saw other frames than there are."""


@dataclass
class _Split:
    """One input in stretches."""

    how: Splitting
    item: Input
    facts: dict[str, Any] = field(default_factory=dict)

    def change(self, job: Job) -> Job:
        """Return how the input is processed."""
        budget = (job.budget or DEFAULT) // self.how.share
        return replace(job, budget=budget, find=self.find, about=lambda: job.about() | {"split": self.facts})

    def find(self, source: Source, windows: Iterator[Window], job: Job, settings: Settings) -> Iterator[WindowResult]:
        """Yield what each window adds; where there are too few windows to split, this process finds it."""
        index = PacketIndex(source.path, settings.max_pixels) if isinstance(source, VideoSource) else None
        frames = -(-(index.count if index else source.length or 1) // source.stride)
        count = len(window_lengths(frames, settings.window, settings.overlap))
        parts = division(count, self.how.count)
        if len(parts) == 1:
            job.note(
                f"{source.label}: {count} window{'s' if count > 1 else ''}, too few to split: one process does it"
            )
            self.facts["stretches"] = []
            yield from stream(windows, job.bundle, settings, job.progress)
            return
        if index and index.trouble:
            job.note(f"{source.label}: {index.trouble}, so every worker decodes it from its start")
        with working_folder(job.out / self.item.name) as folder:
            stretches = [
                Stretch(self.item, *part, settings, source.stride, folder / str(number))
                for number, part in enumerate(parts)
            ]
            if index:
                stretches = [stretch.sought(index) for stretch in stretches]
            self._work(stretches, job.progress)
            yield from self._joined(stretches, windows)

    def _work(self, stretches: list[Stretch], progress: Progress) -> None:
        """Have the stretches worked on. Raises EngineError where one of them fails."""
        with progress.stage("stretches", len(stretches)) as stage:

            def tell(stretch: Stretch, outcome: Outcome) -> None:
                if outcome.status == FAILED:
                    raise EngineError(f"{stretch}: {outcome.message}")
                stage.advance()

            Dispatcher(self.how.pool, self.how.limit, tell).work_through(stretches)

    def _joined(self, stretches: list[Stretch], windows: Iterator[Window]) -> Iterator[WindowResult]:
        """Yield what was found in each window under common numbers. Raises FramesDiffer."""
        names, seams, at, before = Renaming(), [], 0, None
        for number, window in enumerate(windows):
            if before and at + 1 < len(stretches) and number == stretches[at + 1].own:
                at += 1
                seams.append(_facts_of(names.meet(_loaded(stretches[at], number - 1, before)), window))
            piece = _loaded(stretches[at], number, window)
            stretches[at].window(number).unlink()  # those of a long video would fill a disk
            before = window
            yield names.renamed(piece)
        reports = [stretch.report for stretch in stretches]
        self.facts |= {
            "stretches": [[stretch.frame(stretch.first), stretch.stop] for stretch in stretches],
            "sought": [report["sought"] for report in reports],
            "peak": max((report["peak"] or 0 for report in reports), default=0),
            "seams": seams,
        }


def _loaded(stretch: Stretch, number: int, window: Window) -> WindowResult:
    piece = load(stretch.window(number), window)
    if piece is None:
        raise FramesDiffer
    return piece


def _facts_of(seam: Seam, window: Window) -> dict[str, Any]:
    """Return what result.json says of a seam, which lies before the frames that ``window`` adds."""
    frame = int(window.clip.source_index[window.shared])
    return {
        "frame": frame,
        "objects": [seam.known, seam.found],
        "joined": len(seam.ious),
        "iou": [round(float(iou), 4) for iou in np.sort(seam.ious)],
    }

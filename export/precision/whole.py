"""What a precision changes end to end: the pipeline in it and in FP32, and whose rounding changes most of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnx import ModelProto

from samotion.calibration.comparison.end_to_end import Agreement, Bounds, Sample, agree, folder_samples, made_samples
from samotion.engines.bundle import Bundle
from samotion.engines.manifest import GraphEntry, Manifest
from samotion.engines.ort.session import CPU, Execution
from samotion.export.graph.file import LARGEST_INSIDE, entry_of
from samotion.export.graph.fp16_emulation import rounded
from samotion.export.graph.index import save
from samotion.export.precision.samples import CLIPS as CLIPS_OF_THE_GATE
from samotion.export.precision.search import Search, Trial
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import ClipResult

CLIPS, SCENES = 10, 2
FRAMES = 60  # of a clip: the motion network sees longer ones than 48 frames as interleaved ones
# Of every clip by itself: a mean over few clips would hide the one whose objects are taken for others. No label may
# turn: one of 700, with a probability that rounding takes across the threshold, may join or part two objects. That no
# label turns on a few clips says little of others; of nano's tracks on training clips about one in 40,000, so one in
# 60 clips, is within this bound of the threshold.
BOUNDS = Bounds(labels=1.0, probability=1e-4)


def samples(data: Path | None, manifest: Manifest) -> list[Sample]:
    """Return made scenes, and clips of ``data``, if given, other than those of the graphs' own gate."""
    settings = Settings().override(manifest.settings)
    clips = folder_samples(data, CLIPS, settings, 2 * CLIPS_OF_THE_GATE, FRAMES) if data else []
    return [*made_samples(SCENES), *clips]


class Whole:
    """The pipeline on ``clips`` with some of a float32 bundle's graphs in another precision.

    folder: for those graphs. as_run: makes of one what a CPU must run; float16 arithmetic is written out.
    """

    def __init__(
        self,
        bundle: Path,
        manifest: Manifest,
        clips: Sequence[Sample],
        folder: Path,
        execution: Execution = CPU,
        as_run: Callable[[ModelProto], ModelProto] = rounded,
    ) -> None:
        self._folder, self._execution, self._as_run = folder, execution, as_run
        self._manifest = dataclasses.replace(manifest, plans={})
        self._entries = {name: _at(bundle, entry) for name, entry in manifest.graphs.items()}
        self._clips = clips
        self._wanted = self._answers({}, clips)

    def compare(self, changed: Mapping[str, ModelProto], which: Sequence[int] | None = None) -> list[Agreement]:
        """Return how answers with the graphs ``changed`` agree with float32's, for all clips or those numbered."""
        numbers = range(len(self._clips)) if which is None else which
        found = self._answers(changed, [self._clips[number] for number in numbers])
        return [
            agree(answer, self._wanted[number], self._clips[number].truth)
            for number, answer in zip(numbers, found, strict=True)
        ]

    def without(self, half: Mapping[str, ModelProto], number: int) -> dict[str, Agreement]:
        """Return how one clip's answers agree with each of the graphs ``half`` in turn in float32."""
        return {
            name: self.compare({other: model for other, model in half.items() if other != name}, [number])[0]
            for name in half
        }

    def _answers(self, changed: Mapping[str, ModelProto], clips: Sequence[Sample]) -> list[ClipResult]:
        """Run the pipeline."""
        made = {name: self._written(name, model) for name, model in changed.items()}
        manifest = dataclasses.replace(self._manifest, graphs={**self._entries, **made})
        with Bundle(self._folder, manifest, self._execution.provider, self._execution.threads) as bundle:
            return [segment(sample.clip, bundle) for sample in clips]

    def _written(self, name: str, model: ModelProto) -> GraphEntry:
        """Write a graph as a CPU must run it and return its entry."""
        path = self._folder / f"{name}.whole.onnx"
        save(self._as_run(model), path, LARGEST_INSIDE)
        return entry_of(path)


def repair(
    whole: Whole, searches: Mapping[str, Search], trials: dict[str, Trial], tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Give more islands to the graph without whose rounding the worst clip agrees best, until all are within bounds.

    It agrees best where fewest labels turn, then where their probabilities are nearest, as far as they are bounded,
    then where the masks' IoU is highest.
    Returns the rounds for the report; ``trials`` is brought up to date.
    """
    rounds: list[dict[str, Any]] = []
    while True:
        half = {name: trial.half for name, trial in trials.items() if trial.is_half}
        rows = whole.compare(half)
        rounds.append({"clips": [dataclasses.asdict(row) for row in rows]})
        least = min(range(len(rows)), key=lambda number: (BOUNDS.hold([rows[number]]), rows[number].iou))
        tell(f"end to end: {sum(BOUNDS.hold([row]) for row in rows)} of {len(rows)} clips within the bounds")
        if BOUNDS.hold([rows[least]]):
            return rounds
        without = whole.without(half, least)
        name = max(without, key=lambda graph: (*_agreement(without[graph]), trials[graph].worst))
        rounds[-1] |= {
            "worst": rows[least].name,
            "without": {graph: row.iou for graph, row in without.items()},
            "labels_without": {graph: row.labels for graph, row in without.items()},
            "probability_without": {graph: row.probability for graph, row in without.items()},
            "more_islands": name,
        }
        tell(f"{rows[least].line}; without {name} {without[name].line}: more islands there")
        trials[name] = searches[name].relieved(trials[name])


def _agreement(row: Agreement) -> tuple[float, float, float]:
    """Return what agreements are ranked by: labels, then probabilities where past their bound, then masks."""
    return row.labels, -max(row.probability, BOUNDS.probability), row.iou


def _at(bundle: Path, entry: GraphEntry) -> GraphEntry:
    """Return a graph's entry with its whole path, so that it can stand in another folder's manifest."""
    return dataclasses.replace(entry, file=str((bundle / entry.file).resolve()))

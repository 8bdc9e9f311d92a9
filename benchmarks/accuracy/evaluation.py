"""Running the pipeline over labelled clips and scoring what it finds."""

import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np

from samotion.benchmarks.accuracy.metrics import ObjectScores, Scores, binary_scores, object_scores, statistics
from samotion.benchmarks.datasets.truth import Labelled, Truth
from samotion.benchmarks.report.pictures import contact_sheet
from samotion.engines.errors import InputError, SamotionError
from samotion.runtime.output.writer import label_map
from samotion.runtime.values import Bytes, ClipResult, Int

Run = Callable[[Labelled], ClipResult]


@dataclass(frozen=True)
class ClipReport:
    """What one clip gave. j, f: (S,) of all objects together, on the annotated frames. frames: how many were run.

    seconds: by stage; wall: from reading to masks. peak_memory: bytes, the most the process had held by the end of
    this clip. further: measures of one data set alone, by name. sheet: (h, w, 3) uint8 picture of truth and
    prediction, if asked for. error: why there is nothing else.
    """

    name: str
    frames: int = 0
    objects: int = 0
    j: Scores | None = None
    f: Scores | None = None
    matched: ObjectScores | None = None
    seconds: dict[str, float] | None = None
    wall: float = 0.0
    peak_memory: int = 0
    further: dict[str, Any] = field(default_factory=dict)
    sheet: Bytes | None = None
    error: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the clip's entry of the JSON report."""
        if self.j is None or self.f is None or self.matched is None:
            return {"name": self.name, "error": self.error}
        matched = self.matched
        return {
            "name": self.name,
            "frames": self.frames,
            "j": asdict(statistics(self.j)),
            "f": asdict(statistics(self.f)),
            "objects_found": self.objects,
            "objects": [
                {
                    "truth": int(matched.truth[k]),
                    "prediction": int(matched.prediction[k]) or None,
                    "j": asdict(statistics(matched.j[k])),
                    "f": asdict(statistics(matched.f[k])),
                }
                for k in range(len(matched.truth))
            ],
            **self.further,
            "per_frame": {"j": self.j.round(4).tolist(), "f": self.f.round(4).tolist()},
            "seconds": {stage: round(seconds, 4) for stage, seconds in (self.seconds or {}).items()},
            "seconds_total": round(self.wall, 4),
            "seconds_per_frame": round(self.wall / self.frames, 4),
            "peak_memory_bytes": self.peak_memory,
        }


# What a data set measures besides J and F: truth, ids found (S, H, W), J and F (S,) → entries of the clip's record.
Further = Callable[[Truth, Bytes, Scores, Scores], dict[str, Any]]


def evaluate(
    clips: Sequence[Labelled],
    run: Run,
    tell: Callable[[ClipReport], None],
    further: Further | None = None,
    pictures: bool = False,
) -> list[ClipReport]:
    """Return one report a clip, telling each when it is done; a clip that fails does not stop the others."""
    reports = []
    for clip in clips:
        try:
            report = evaluate_clip(clip, run, further, pictures)
        except SamotionError as error:
            report = ClipReport(clip.name, error=str(error))
        except Exception as error:  # a bug: shown in full, and the other clips still get their turn
            traceback.print_exc()
            report = ClipReport(clip.name, error=f"{type(error).__name__}: {error}")
        tell(report)
        reports.append(report)
    return reports


def evaluate_clip(clip: Labelled, run: Run, further: Further | None = None, pictures: bool = False) -> ClipReport:
    """Run one clip and score it on every annotated frame.

    Raises InputError where truth or frames are not as expected.
    """
    truth = clip.scored()  # first, so that a broken clip costs no run
    begun = time.perf_counter()
    result = run(clip)
    wall = time.perf_counter() - begun
    memory = peak_memory()
    prediction = predicted_ids(result, truth.labels, truth.frames)
    j, f = binary_scores(truth.labels, prediction)
    return ClipReport(
        name=clip.name,
        frames=result.clip.source_count,
        objects=len(result.masks.values),
        j=j,
        f=f,
        matched=object_scores(truth.labels, prediction),
        seconds=result.seconds,
        wall=wall,
        peak_memory=memory,
        further=further(truth, prediction, j, f) if further else {},
        sheet=contact_sheet(result.clip, truth, prediction, j) if pictures else None,
    )


def predicted_ids(result: ClipResult, truth: Bytes, annotated: Int | None = None) -> Bytes:
    """Return the ids (S, H, W) found, at the truth's size (nearest); a skipped frame keeps the one before.

    annotated: (S,) the source frames that the rows of ``truth`` belong to, None for all. Raises InputError where
    truth and frames do not fit.
    """
    clip = result.clip
    if annotated is None and clip.source_count != len(truth):
        raise InputError(f"{clip.name}: {clip.source_count} frames read but {len(truth)} masks")
    frames = np.arange(len(truth)) if annotated is None else annotated
    if len(frames) and frames.max() >= clip.source_count:
        raise InputError(f"{clip.name}: frame {frames.max()} is annotated but only {clip.source_count} were read")
    height, width = truth.shape[1:]
    prediction = np.empty_like(truth)
    latest = np.searchsorted(clip.source_index, frames, side="right") - 1
    for row, index in enumerate(latest):
        labels = label_map(result, int(index))
        if labels.shape != truth.shape[1:]:
            labels = np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        prediction[row] = labels
    return prediction


def means(reports: Sequence[ClipReport]) -> dict[str, Any]:
    """Return the means over the clips that ran: ``mean`` of binary J and F, ``objects_mean`` over true objects."""
    done = [report for report in reports if report.j is not None and report.f is not None]
    matched = [report.matched for report in done if report.matched is not None]
    frames = sum(report.frames for report in done)
    return {
        "mean": _mean([report.j for report in done], [report.f for report in done]),
        "objects_mean": _mean([row for one in matched for row in one.j], [row for one in matched for row in one.f]),
        "seconds_per_frame": round(sum(report.wall for report in done) / frames, 4) if frames else None,
        "peak_memory_bytes": max((report.peak_memory for report in done), default=None),
    }


def peak_memory() -> int:
    """Return the most memory, in bytes, that this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _mean(j: Sequence[Scores | None], f: Sequence[Scores | None]) -> dict[str, float | None]:
    def over(rows: Sequence[Scores | None]) -> float | None:
        values = [float(row.mean()) for row in rows if row is not None]
        return float(np.mean(values)) if values else None

    return {"j": over(j), "f": over(f)}

"""The project's goals, and whether a result meets them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samotion.benchmarks.report.compare import milliseconds
from samotion.benchmarks.report.measurement import Timing, timings
from samotion.benchmarks.report.noise import geometric_mean, ratio

RATIO = 10.0  # times as long as the published orchestration takes, at least
SAME_MASKS = 0.98  # IoU of both orchestrations' masks, mean over objects and frames, at least
EAGER_MEAN = 1.3  # times as long as PyTorch takes for an engine's work, geometric mean over the engines, at least
EAGER_LEAST = 1.0  # the same of every engine
FRAMES_A_SECOND = 8.0  # from file to masks on a CPU, at least
LONG = 3000  # frames of the long clip
SHORT = 300  # frames of the short clip
MEMORY = 1.2  # peak memory of the long clip over that of the short one, at most
DRIFT = 0.1  # by which seconds a frame of the long clip over those of the short one may differ from 1
MANY = 16  # objects
MANY_COST = 4.0  # time with MANY objects over that with one, at most
COLD_SECONDS = 3.0  # from a fresh process to its first masks, beyond computing them, at most
# On a GPU:
BUNDLE = "paper"  # the published networks, with SAM2-L
GPU = "H100"
CLIP = (854, 480)  # width and height, pixels
OBJECTS = 3
GPU_FRAMES_A_SECOND = 25.0  # from file to masks, at least
SAM_SECONDS = 0.015  # of SAM2's four graphs for one object on one frame, at most
SAM = ("mask_encoder", "memory_attention", "mask_decoder", "memory_encoder")
NOT_MEASURED = "*not measured*"


@dataclass(frozen=True)
class Goal:
    """One goal: what is wanted, what was measured, and whether that is enough (None: only stated)."""

    name: str
    wanted: str
    measured: str
    met: bool | None

    def row(self) -> tuple[str, str, str, str]:
        """Return the row of a table."""
        return self.name, self.wanted, self.measured, {True: "met", False: "**not met**", None: ""}[self.met]


def goals(bench: dict[str, Any], orchestration: dict[str, Any] | None = None) -> list[Goal]:
    """Return every goal that the results say something about."""
    found = _orchestration(orchestration) if orchestration else []
    found += _torch(timings(bench)) + _speed(timings(bench), "gpu" in bench["environment"])
    for judge in (_length, _many, _cold):
        found += judge(timings(bench))
    return found + [goal for goal in gpu_goals([bench]) if goal.met is not None]


def gpu_goals(results: Sequence[dict[str, Any]]) -> list[Goal]:
    """Return the goals of BUNDLE on GPU; only results of that bundle on that GPU count."""
    fit = [
        record
        for record in results
        if record["bundle"]["name"] == BUNDLE and GPU in record["environment"].get("gpu", {}).get("name", "")
    ]
    rates = [_rate(timings(record, "stages")) for record in fit]
    sams = [_sam(timings(record, "gpu engines")) for record in fit]
    clip = f"clip to masks, {CLIP[0]}×{CLIP[1]}, `{BUNDLE}`, {OBJECTS} objects, {GPU}"
    graphs = f"SAM2-L, a frame for one object ({' + '.join(SAM)}, 1 each), `{BUNDLE}`, {GPU}"
    frames = [(f"{rate:.1f}", rate >= GPU_FRAMES_A_SECOND) for rate in rates if rate is not None]
    times = [(milliseconds(taken), taken <= SAM_SECONDS) for taken in sams if taken is not None]
    return [
        Goal(f"frames a second, {clip}", f"at least {GPU_FRAMES_A_SECOND:g}", *_last(frames)),
        Goal(graphs, f"at most {milliseconds(SAM_SECONDS)}", *_last(times)),
    ]


def _last(judged: list[tuple[str, bool]]) -> tuple[str, bool | None]:
    """Return what the last result that says something measured, and whether that is enough."""
    return judged[-1] if judged else (NOT_MEASURED, None)


def _rate(found: list[Timing]) -> float | None:
    """Return frames a second from file to masks, None where other clips or objects were measured."""
    for one in found:
        measured = one.facts["width"], one.facts["height"], one.facts["objects"]
        if one.name == "clip to masks" and measured == (*CLIP, OBJECTS):
            return one.throughput
    return None


def _sam(found: list[Timing]) -> float | None:
    """Return what SAM2's graphs take for one frame and object, None where one was not measured."""
    alone = {one.name: one.seconds for one in found if one.size == 1}
    return sum(alone[name] for name in SAM) if alone.keys() >= set(SAM) else None


def _orchestration(record: dict[str, Any]) -> list[Goal]:
    ends = record["ratio_interval"]
    interval = f" (95 %: {ends[0]:.1f} to {ends[1]:.1f})" if ends else ""
    return [
        Goal(
            "published orchestration / samotion, end to end",
            f"at least {RATIO:g}",
            f"{record['ratio']:.1f}{interval}",
            record["ratio"] >= RATIO,
        ),
        Goal(
            "mean IoU of both sides' masks",
            f"at least {SAME_MASKS}",
            f"{record['mean_iou']:.4f}",
            record["mean_iou"] >= SAME_MASKS,
        ),
    ]


def _torch(found: list[Timing]) -> list[Goal]:
    by = {(one.name, one.variant): one for one in found if one.group == "torch"}
    made = []
    for side in ("eager", "compiled"):
        gains = {
            name: ratio(one.rounds, by[name, "onnx"].rounds).middle
            for (name, variant), one in by.items()
            if variant == side
        }
        if not gains:
            continue
        mean, last = geometric_mean(list(gains.values())), min(gains, key=lambda name: gains[name])
        name, stated = f"PyTorch {side} / engine", side == "compiled"
        made += [
            Goal(
                f"{name}, geometric mean of {len(gains)}",
                "stated" if stated else f"at least {EAGER_MEAN}",
                f"{mean:.2f}",
                None if stated else mean >= EAGER_MEAN,
            ),
            Goal(
                f"{name}, least",
                "stated" if stated else f"at least {EAGER_LEAST:g}",
                f"{gains[last]:.2f} ({last})",
                None if stated else gains[last] >= EAGER_LEAST,
            ),
        ]
    return made


def _speed(found: list[Timing], on_gpu: bool) -> list[Goal]:
    """Return the speed end to end; the bar is that of a CPU."""
    by = {one.name: one for one in found if one.group == "stages"}
    made = []
    for name in ("clip to masks", "clip to files"):
        if one := by.get(name):
            judged = name == "clip to masks" and not on_gpu
            wanted = f"at least {FRAMES_A_SECOND:g}" if judged else "stated"
            size = f"{one.facts['width']}×{one.facts['height']}"
            met = one.throughput >= FRAMES_A_SECOND if judged else None
            made.append(Goal(f"frames a second, {name}, {size}", wanted, f"{one.throughput:.1f}", met))
    return made


def _length(found: list[Timing]) -> list[Goal]:
    by = {one.size: one for one in found if one.group == "length"}
    if not {SHORT, LONG} <= by.keys():
        return []
    long, short = by[LONG], by[SHORT]
    memory = max(long.facts["peak_memory"]) / max(short.facts["peak_memory"])
    drift = long.seconds / LONG / (short.seconds / SHORT)
    between = f"{LONG} / {SHORT} frames"
    return [
        Goal(f"peak memory, {between}", f"at most {MEMORY}", f"{memory:.2f}", memory <= MEMORY),
        Goal(
            f"seconds a frame, {between}",
            f"{1 - DRIFT:g} to {1 + DRIFT:g}",
            f"{drift:.2f}",
            abs(drift - 1) <= DRIFT,
        ),
    ]


def _many(found: list[Timing]) -> list[Goal]:
    by = {(one.name, one.size): one for one in found if one.group == "objects" and one.variant == "clip to masks"}
    made = []
    for name in dict.fromkeys(name for name, _ in by):
        if {(name, 1), (name, MANY)} <= by.keys():
            cost = by[name, MANY].seconds / by[name, 1].seconds
            what = f"{MANY} objects / 1, end to end, {name}"
            made.append(Goal(what, f"at most {MANY_COST:g}", f"{cost:.2f}", cost <= MANY_COST))
    return made


def _cold(found: list[Timing]) -> list[Goal]:
    return [
        Goal(
            "cold start to first masks, beyond computing them",
            f"at most {COLD_SECONDS:g} s",
            milliseconds(one.seconds),
            one.seconds <= COLD_SECONDS,
        )
        for one in found
        if one.group == "cold" and one.name == "beyond computing"
    ]

"""The one training loop: Muon and AdamW, cosine rate with warm-up, averaged weights, checkpoints that resume."""

import csv
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from samotion.engines.atomic import atomic_file
from samotion.export.training.muon import Muon

Step = Callable[[int], Tensor | tuple[Tensor, dict[str, float]]]

CHECKPOINT_SECONDS = 60.0
REPORT_STEPS = 20


@dataclass
class Clock:
    """Progress of a run in [0, 1]: by steps, or by minutes of training where a limit is given."""

    steps: int
    minutes: float | None
    spent: float = 0.0

    def progress(self, step: int) -> float:
        """Return the part of the run that is done."""
        by_steps = step / self.steps
        return by_steps if self.minutes is None else max(by_steps, self.spent / (60 * self.minutes))


def rate_at(progress: float, step: int, warmup: int) -> float:
    """Return the factor on the learning rate: linear warm-up, then a half cosine down to 1 %."""
    return min(1.0, (step + 1) / warmup) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def run(
    name: str,
    model: nn.Module,
    step: Step,
    *,
    steps: int,
    rate: float,
    out: Path,
    warmup: int = 100,
    decay: float = 0.05,
    ema: float = 0.998,
    parameters: Iterable[Any] | None = None,
    minutes: float | None = None,
    muon: bool = False,
) -> None:
    """Train ``model`` until ``steps`` or ``minutes`` are done and write OUT/NAME.safetensors.

    step: draws batch i from its own seed and returns the loss, or the loss and further figures to record.
    rate: peak learning rate; decay: AdamW's, on tensors of two axes or more. ema: weight of the past in the
    averaged weights, which are what is written. muon: matrices are trained by Muon, the rest by AdamW.
    A run that was stopped goes on from OUT/NAME.pt.
    """
    out.mkdir(parents=True, exist_ok=True)
    trained = [p for p in (model.parameters() if parameters is None else parameters) if p.requires_grad]
    optimisers = _optimisers(trained, rate, decay, muon)
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    clock, first = Clock(steps, minutes), 0
    checkpoint = out / f"{name}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        average, first, clock.spent = state["average"], state["step"], state["spent"]
    curve = _Curve(out / f"{name}.csv", keep=first)
    saved = begun = time.monotonic()
    index = first
    while clock.progress(index) < 1:
        torch.manual_seed(index)
        answer = step(index)
        loss, figures = answer if isinstance(answer, tuple) else (answer, {})
        factor = rate_at(clock.progress(index), index, warmup)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = rate * factor
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(trained, 1.0)
        if bool(torch.isfinite(norm)):
            for optimiser in optimisers:
                optimiser.step()
        _blend(average, model, min(ema, (1 + index) / (10 + index)))
        index += 1
        now = time.monotonic()
        clock.spent += now - begun
        begun = now
        curve.add(index, {"loss": float(loss.detach()), "rate": rate * factor, "seconds": clock.spent, **figures})
        if now - saved > CHECKPOINT_SECONDS:
            _save(checkpoint, model, optimisers, average, index, clock.spent)
            saved = now
    _save(checkpoint, model, optimisers, average, index, clock.spent)
    save_file({k: v.contiguous() for k, v in average.items()}, out / f"{name}.safetensors")
    curve.close()


def _optimisers(trained: list[Any], rate: float, decay: float, muon: bool) -> list[torch.optim.Optimizer]:
    """Return the optimisers of the parameters; only tensors of two axes or more decay."""
    matrices = [p for p in trained if muon and p.ndim == 2 and min(p.shape) > 1]
    chosen = {id(p) for p in matrices}
    others = [p for p in trained if id(p) not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))
    return [adam, Muon(matrices, rate, decay)] if matrices else [adam]


def _blend(average: dict[str, Tensor], model: nn.Module, past: float) -> None:
    """Move the averaged weights towards the model's."""
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                average[key].lerp_(value, 1 - past)
            else:
                average[key].copy_(value)


def _save(
    path: Path,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    average: dict[str, Tensor],
    step: int,
    spent: float,
) -> None:
    """Write everything that a resumed run needs, in one rename."""
    state = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "average": average,
        "step": step,
        "spent": spent,
    }
    with atomic_file(path) as partial:
        torch.save(state, partial)


class _Curve:
    """Figures averaged over REPORT_STEPS steps, one CSV row each; rows past ``keep`` are dropped on resuming."""

    def __init__(self, path: Path, keep: int) -> None:
        rows = []
        if keep and path.exists():
            with path.open(newline="") as old:
                rows = [row for row in csv.DictReader(old) if int(row["step"]) <= keep]
        self.file = path.open("w", newline="")
        self.writer: csv.DictWriter[str] | None = None
        self.sums: dict[str, list[float]] = {}
        for row in rows:
            self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row), extrasaction="ignore", restval="")
            self.writer.writeheader()
        self.writer.writerow(row)
        self.file.flush()

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Take one step's figures; write a row when enough are together."""
        for key, value in figures.items():
            self.sums.setdefault(key, []).append(value)
        if step % REPORT_STEPS:
            return
        row = {key: f"{sum(values) / len(values):.6g}" for key, values in self.sums.items()}
        row["seconds"] = f"{figures['seconds']:.1f}"
        self._write({"step": step, **row})
        print(f"step {step}: " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        self.sums = {}

    def close(self) -> None:
        """Finish the file."""
        self.file.close()

"""``python -m samotion.benchmarks.speed.limits``: a frame's arithmetic, and the least time that takes on GPUs."""

import argparse
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samotion.benchmarks.command import parser_of, run_command, save_report
from samotion.benchmarks.report.compare import milliseconds
from samotion.benchmarks.report.tables import table
from samotion.engines.errors import InputError

if TYPE_CHECKING:
    from samotion.export.graph.operations import Work
    from samotion.export.workload import Step

PROGRAM = "samotion.benchmarks.speed.limits"
FRAME = 480, 854
OBJECTS = 1, 3, 16
DESCRIPTION = (
    "Count what the published networks compute a frame, and how long a GPU takes for it at its published peak."
)
EPILOG = """\
Arithmetic, not a measurement: no network runs, and no GPU is needed. It takes samotion[export].

example:
  python -m samotion.benchmarks.speed.limits -o limits.json

Exit status: 0 done, 2 a file that cannot be written."""


@dataclass(frozen=True)
class Card:
    """A GPU as published.

    half: operations a second in dense FP16 products with FP32 sums. single: in FP32, outside tensor cores. memory:
    bytes a second.
    """

    half: float
    single: float
    memory: float

    def seconds(self, one: "Work", precision: str) -> float:
        """Return the least time of one run: of its arithmetic or of its traffic, whichever takes longer."""
        peak, size = (self.half, 2) if precision == "fp16" else (self.single, 4)
        return max(one.flops / peak, size * one.numbers / self.memory)


# H100: NVIDIA H100 Tensor Core GPU datasheet, SXM, half of the figure with sparsity. RTX 4090: NVIDIA Ada GPU
# Architecture whitepaper, appendix A. L4: NVIDIA L4 Tensor Core GPU datasheet, half of the figure with sparsity.
CARDS = {
    "H100": Card(989.5e12, 67e12, 3.35e12),
    "RTX 4090": Card(165.2e12, 82.6e12, 1.008e12),
    "L4": Card(121e12, 30.3e12, 0.3e12),
}
PRECISIONS = ("fp16", "fp32")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG).parse_args(argv), _count)


def _count(args: argparse.Namespace) -> int:
    try:
        from samotion.export.workload import workloads
    except ImportError as error:
        raise InputError("counting needs PyTorch and ONNX: pip install 'samotion[export]'") from error
    systems = workloads(FRAME, OBJECTS)
    print(markdown(systems))
    steps = {name: {n: [dataclasses.asdict(s) for s in of] for n, of in by.items()} for name, by in systems.items()}
    cards = {name: dataclasses.asdict(card) for name, card in CARDS.items()}
    save_report(args.out, {"program": PROGRAM, "frame": FRAME, "cards": cards, "steps": steps})
    return 0


def markdown(systems: "Mapping[str, Mapping[int, Sequence[Step]]]") -> str:
    """Return the least time a frame of every system and number of objects on every card."""
    rows = []
    for name, by in systems.items():
        for objects, steps in by.items():
            flops, numbers = (sum(s.times * getattr(s.work, key) for s in steps) for key in ("flops", "numbers"))
            times = least(steps)
            cells = (milliseconds(times[card, precision]) for card in CARDS for precision in PRECISIONS)
            rows.append((name, str(objects), f"{flops / 1e9:.0f}", f"{2 * numbers / 1e6:.0f}", *cells))
    header = ("networks", "objects", "GFLOP", "MB in fp16", *(f"{card}, {p}" for card in CARDS for p in PRECISIONS))
    return f"Arithmetic, not measured; a frame of {FRAME[1]}×{FRAME[0]}.\n\n{table(header, rows)}"


def least(steps: "Sequence[Step]") -> dict[tuple[str, str], float]:
    """Return the least seconds a frame by card and precision."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for name, card in CARDS.items():
        for precision in PRECISIONS:
            found[name, precision] = sum(step.times * card.seconds(step.work, precision) for step in steps)
    return found


if __name__ == "__main__":
    sys.exit(main())

"""What became of every input of a job: OUT/summary.csv, a row an input, and OUT/failures.jsonl, a line a failure.

Several processes may share OUT. Rows are added as inputs end, so that a killed job leaves what it knew. The last row
of an input counts, and the end of a job leaves just that one.
"""

import csv
import dataclasses
import io
import json
import time
from pathlib import Path
from typing import Any

from samotion.engines.atomic import atomic_file, locked

SUMMARY = "summary.csv"
TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape"}  # file names may hold any bytes
PATIENCE = 30.0  # seconds to wait for another process of the same job
DONE, FAILED = "done", "failed"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one input. status: "done" or "failed". message: the line that says what was found, or why not.

    objects, frames: how many, None where it failed. seconds: it took. attempts: how often it was begun.
    """

    status: str
    message: str
    objects: int | None = None
    frames: int | None = None
    seconds: float = 0.0
    attempts: int = 1


COLUMNS = ("name", "input", *(field.name for field in dataclasses.fields(Outcome)))


class Ledger:
    """The two files of a job in ``out``. Raises OutputError where they cannot be written."""

    def __init__(self, out: Path) -> None:
        self._lock = out / "job"
        self._summary = out / SUMMARY
        self._failures = out / "failures.jsonl"
        out.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def names(out: Path) -> dict[str, str]:
        """Return the names in ``out`` that inputs, by their paths, have from an earlier run."""
        return {row["input"]: row["name"] for row in _rows(out / SUMMARY).values()}

    def add(self, path: str, name: str, outcome: Outcome) -> None:
        """Write down what became of the input ``path``, called ``name``."""
        row = {"name": name, "input": path, **dataclasses.asdict(outcome), "seconds": round(outcome.seconds, 3)}
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        with locked(self._lock, PATIENCE):
            if not self._summary.exists():
                writer.writeheader()
            writer.writerow(row)
            _append(self._summary, text.getvalue())
            if outcome.status == FAILED:
                moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                _append(self._failures, json.dumps({**row, "time": moment}) + "\n")

    def settle(self) -> None:
        """Leave one row an input, the last one, and the failures that still are."""
        with locked(self._lock, PATIENCE):
            rows = _rows(self._summary)
            with (
                atomic_file(self._summary) as partial,
                partial.open("w", newline="", **TEXT) as file,
            ):
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows.values())
            if self._failures.exists():
                lines = [json.loads(line) for line in self._failures.read_text(encoding="utf-8").splitlines()]
                last = {line["input"]: line for line in lines if rows.get(line["input"], {}).get("status") == FAILED}
                text = "".join(json.dumps(line) + "\n" for line in last.values())
                with atomic_file(self._failures) as partial:
                    partial.write_text(text, encoding="utf-8")


def _rows(summary: Path) -> dict[str, dict[str, str]]:
    """Return the last row of each input, by its path."""
    if not summary.exists():
        return {}
    with summary.open(newline="", **TEXT) as file:
        # A row that a kill cut short, the last one, does not count.
        return {row["input"]: row for row in csv.DictReader(file) if row.get("attempts")}


def _append(path: Path, text: str) -> None:
    with path.open("a", newline="", **TEXT) as file:
        file.write(text)

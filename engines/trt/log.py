"""What a builder says while it works: a bar for the user, its errors kept for one clear line, no log."""

import contextlib
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tqdm import tqdm

# "[file.cpp::function::123] Error Code 1: Myelin (…. In compileGraph at /_src/….cpp:2012)" and its like.
NOISE = (
    r"^\s*\[[\w./]+::\w+::\d+\]\s*",
    r"^\w+::\w+:\s*",
    r"Error Code \d+:\s*",
    r"\[\w+\.cpp:\d+:? ?\w*\]\s*",
    r"\.?\s*In \w+ at [^\s)]+:\d+",
)
ABOUT_THE_GPU = "cudaError 35"  # "no driver", said of every build without a GPU beside the true error


def logger(trt: ModuleType) -> Any:
    """Return a logger for ``trt`` that keeps errors in its ``errors`` and says nothing."""

    class Kept(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR) and ABOUT_THE_GPU not in message:
                self.errors.append(message)

    return Kept()


def monitor(trt: ModuleType, title: str) -> Any:
    """Return a progress monitor for ``trt`` that shows a bar of the steps done, of those known so far.

    Its ``interrupted`` says that Ctrl-C ended the build: an exception must not cross the C++ that calls it.
    """

    class Bar(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.bar = tqdm(total=0, desc=title, unit="step", leave=False, disable=None)
            self.interrupted = False

        @contextlib.contextmanager
        def guarded(self) -> Iterator[None]:
            try:
                yield
            except KeyboardInterrupt:
                self.interrupted = True

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:  # noqa: ARG002
            with self.guarded():
                self.bar.total += num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:  # noqa: ARG002
            with self.guarded():
                self.bar.update()
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            """Nothing: the steps of a phase are counted as they end."""

    return Bar()


def first_reason(errors: list[str]) -> str:
    """Return the first error without the builder's own file names and numbers, on one line."""
    if not errors:
        return "no reason given"
    reason = errors[0].strip().splitlines()[0] if errors[0].strip() else "no reason given"
    for noise in NOISE:
        reason = re.sub(noise, "", reason)
    return reason.strip().rstrip(".")

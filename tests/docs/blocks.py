"""The fenced blocks of the documentation, and the commands in them."""

import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.support.paths import ROOT

PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
NEEDS = frozenset(["gpu", "data", "checkpoints", "minutes", "network"])
BLOCK = re.compile(
    r"^(?:<!-- needs: (?P<needs>[a-z, ]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
PROGRAMS = {
    "samotion-run": "samotion.runtime.cli",
    "samotion-doctor": "samotion.runtime.doctor",
    "samotion-export": "samotion.export.cli",
    "samotion-bench": "samotion.benchmarks.bench",
}
Main = Callable[[list[str]], int]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; needs: what its commands cannot run without, by the comment above it."""

    page: Path
    line: int
    language: str
    needs: frozenset[str]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(language: str) -> list[Block]:
    """Return the blocks of that language on all pages."""
    return [block for page in PAGES for block in _blocks_of(page) if block.language == language]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        needs = frozenset(re.findall(r"\w+", found["needs"] or ""))
        yield Block(page, text.count("\n", 0, found.start()) + 1, found["language"], needs, found["text"])


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a shell text, without variables set before it and its program's folder."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("&|;"):
                words.append(word)
                continue
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            if words:
                found.append([words[0].removeprefix(".venv/bin/"), *words[1:]])
            words = []
    return found


def own_program(words: list[str]) -> tuple[Main, list[str]] | None:
    """Return the ``main`` and the arguments of a command of this project; None for anything else."""
    if words[0] in PROGRAMS:
        return _main(PROGRAMS[words[0]]), words[1:]
    if words[0] in ("python", "python3") and words[1] == "-m" and words[2].startswith("samotion."):
        return _main(words[2]), words[3:]
    return None


def _main(name: str) -> Main:
    module: Any = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    return cast(Main, module.main)

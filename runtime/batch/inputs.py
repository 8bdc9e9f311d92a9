"""Which inputs a job has, and what each is called in OUT: no two alike, and the same again on the next day."""

import glob
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samotion.engines.errors import InputError
from samotion.runtime.console import note
from samotion.runtime.sources.folders import SUFFIXES, in_order
from samotion.runtime.sources.live import is_live
from samotion.runtime.sources.open import clip_name

# Containers that mimetypes does not know as video on every system.
VIDEOS = frozenset({".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mxf", ".m4v", ".y4m", ".ogv", ".flv", ".wmv", ".3gp"})


@dataclass(frozen=True)
class Input:
    """One input of a job. path: as it is opened. name: of its folder in OUT, with "/" where a tree is kept."""

    path: str
    name: str


@dataclass(frozen=True)
class Shard:
    """One of ``count`` processes that share a job: every ``count``-th input is its own, from ``number`` (1 …) on."""

    number: int
    count: int

    def of(self, inputs: Sequence[Input]) -> Sequence[Input]:
        """Return the inputs of this shard."""
        return inputs[self.number - 1 :: self.count]


def gather(given: Iterable[str], keep_tree: bool, named: Mapping[str, str]) -> list[Input]:
    """Return the inputs that paths, folders of videos and globs name, in natural order, each under a name of its own.

    Args:
        given: a video, a folder of images, a printf pattern or a live source is one input; a folder without images is
            searched for videos and folders of images, with all that is below it; so is a glob such as ``'*.mp4'``.
        keep_tree: name what is found in a folder by its path below that folder, not by its stem alone.
        named: names that inputs, by their paths, have from earlier runs, and keep.

    Raises:
        InputError: for a glob that fits nothing.
    """
    found = [pair for text in given for pair in _expand(text, keep_tree)]
    taken = {name.casefold() for name in named.values()}
    inputs = []
    for path, wanted in found:
        name = named.get(path) or _free(wanted, taken)
        if name != wanted and path not in named:
            note(f"{path} is written as {name}: {wanted} is taken")
        taken.add(name.casefold())
        inputs.append(Input(path, name))
    return inputs


def read_list(file: Path) -> list[str]:
    """Return the paths that a file lists, one a line; empty lines are passed over. Raises InputError."""
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error
    if not (paths := [line for line in lines if line.strip()]):
        raise InputError(f"{file}: lists no input", "write one path a line")
    return paths


def _expand(text: str, keep_tree: bool) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of each input that one argument stands for."""
    path = Path(text)
    # os.path answers False where pathlib raises, as for a name that is too long; opening says what is wrong.
    if os.path.isdir(path) and not is_live(text) and not _has_images(path) and (below := list(_below(path))):
        for item in below:
            name = item.relative_to(path)
            yield str(item), str(name if item.is_dir() else name.with_suffix("")) if keep_tree else clip_name(item)
    elif glob.has_magic(text) and not is_live(text) and not os.path.exists(path):
        matches = [Path(match) for match in glob.glob(text, recursive=True)]
        if not (found := in_order(match for match in matches if match.is_dir() or is_video(match))):
            raise InputError(f"{text}: no video and no folder fits this pattern")
        for match in found:
            yield str(match), str(match.with_suffix("")) if keep_tree else clip_name(match)
    else:
        yield text, clip_name(text)


def _below(folder: Path) -> Iterator[Path]:
    """Yield the videos and folders of images in ``folder`` and below it, in natural order."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    for entry in in_order(entries):
        if entry.is_dir() and not entry.is_symlink():
            yield from [entry] if _has_images(entry) else _below(entry)
        elif is_video(entry):
            yield entry


def is_video(path: Path) -> bool:
    """Say whether a file is a video by its name."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    return path.suffix.lower() in VIDEOS or kind.startswith("video/")


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(Path(entry.name).suffix.lower() in SUFFIXES for entry in entries)


def _free(name: str, taken: set[str]) -> str:
    """Return ``name``, with -2, -3, … where it is taken, also but for its case."""
    unique, number = name, 1
    while unique.casefold() in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique

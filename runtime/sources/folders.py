"""Which files a folder of images or a printf pattern names, and in which order; none is left out in silence."""

import importlib.util
import logging
import mimetypes
import re
from collections.abc import Iterable
from pathlib import Path

from samotion.engines.errors import InputError

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif"}) | (
    frozenset({".heic", ".heif"}) if importlib.util.find_spec("pillow_heif") else frozenset()
)
# Pictures that mimetypes may not know.
UNREAD = frozenset({".heic", ".heif", ".jxl", ".exr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".tga", ".jp2", ".hdr"})
PATTERN = re.compile(r"%(0?)(\d*)d")
DECIMAL = re.compile(r"(.*?)([0-9]+)(?:\.([0-9]+))?")
MOST_NAMES = 5  # named in one line


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which frame 2 comes before frame 10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name.casefold())
    return [(0, int(digits), digits) if digits else (1, 0, text) for digits, text in parts]


def in_order(files: Iterable[Path]) -> list[Path]:
    """Return files in natural order of their stems: ``x`` before ``x (1)`` and ``x-1``, seconds by their value.

    Stems such as 7.0, 7.25, 7.5 are decimal numbers: they differ in length and none is padded with zeros. In
    7.9, 7.10 the point separates two whole numbers.
    """
    listed = list(files)
    numbers = [DECIMAL.fullmatch(file.stem) for file in listed]
    stated = [number for number in numbers if number]
    decimals = {number[3] or "" for number in stated}
    if (
        len(stated) == len(listed)
        and len({number[1] for number in stated}) == 1
        and len({len(digits) for digits in decimals}) > 1
        and not any(len(digits) > 1 and digits.endswith("0") for digits in decimals)
    ):
        values = {file: (int(number[2]), number[3] or "") for file, number in zip(listed, stated, strict=True)}
        return sorted(listed, key=lambda file: (values[file], file.name))
    return sorted(listed, key=lambda file: (natural(file.stem), file.name))


def list_folder(folder: Path) -> list[Path]:
    """Return the images of a folder in order; pictures and videos of kinds that are not read are named in a warning.

    Raises InputError where there are none, and for one that is a broken link or no file.
    """
    entries = [entry for entry in _entries(folder) if not entry.name.startswith(".")]
    found = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    others = sorted(entry.name for entry in entries if entry not in set(found) and _seems_picture(entry))
    if not found:
        has = f"; {names(others)} cannot be read" if others else ""
        raise InputError(f"{folder}: no images in this folder (looked for {' '.join(sorted(SUFFIXES))}{has})")
    if others:
        log.warning("%s: left out %s, read are %s", folder, names(others), " ".join(sorted(SUFFIXES)))
    _check_files(folder, found)
    return in_order(found)


def list_pattern(pattern: Path) -> list[Path]:
    """Return the files that a printf pattern such as ``dir/%05d.png`` names, by number.

    Raises InputError for a pattern without exactly one number, where no file fits, and for a broken link.
    """
    fields = PATTERN.findall(pattern.name)
    if len(fields) != 1 or PATTERN.search(str(pattern.parent)):
        raise InputError(f"{pattern}: expected one number such as %05d, in the file's name")
    before, after = (re.escape(part) for part in re.split(PATTERN.pattern, pattern.name)[:: len(fields[0]) + 1])
    zero, width = fields[0][0], int(fields[0][1] or 0)
    number = re.compile(f"{before}( *[0-9]+){after}")
    found: dict[int, Path] = {}
    for entry in _entries(pattern.parent):
        match = number.fullmatch(entry.name)
        if match and match[1] == f"{int(match[1]):{zero}{width or 1}d}":
            found[int(match[1])] = entry
    if not found:
        raise InputError(f"{pattern}: no file fits this pattern")
    _check_files(pattern.parent, found.values())
    return [found[key] for key in sorted(found)]


def names(all_names: list[str]) -> str:
    """Return names in one phrase, the first few of them and how many more there are."""
    shown = ", ".join(all_names[:MOST_NAMES])
    return shown + (f" and {len(all_names) - MOST_NAMES} more" if len(all_names) > MOST_NAMES else "")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from error


def _seems_picture(entry: Path) -> bool:
    kind = mimetypes.guess_type(entry.name)[0] or ""
    return entry.suffix.lower() in UNREAD or kind.startswith(("image/", "video/"))


def _check_files(folder: Path, files: Iterable[Path]) -> None:
    """Raise InputError that names those of ``files`` that are not there or are no files."""
    broken = [file for file in files if not file.is_file()]
    if broken:
        links = all(file.is_symlink() for file in broken)
        listed = names([file.name for file in in_order(broken)])
        raise InputError(
            f"{folder}: {listed}: {'links to nothing' if links else 'no files'}", "restore or remove them"
        )

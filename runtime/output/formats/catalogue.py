"""The formats by name: what each is called on the command line, needs, and writes."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samotion.engines.errors import SettingsError
from samotion.engines.packages import require_extra

if TYPE_CHECKING:
    from samotion.runtime.output.formats.format import Format


@dataclass(frozen=True)
class Entry:
    """One format, in the module of its name.

    kind: its class. package: the module beyond the core's that it needs, extra: what installs it; "" for none. files:
    a pattern of the paths that it writes, so that these and no others may be replaced. dilates: whether its masks are
    for leaving movers out, and can grow.
    """

    kind: str
    files: str
    package: str = ""
    extra: str = ""
    dilates: bool = False


DEFAULT = ("davis",)
FORMATS = {
    "davis": Entry("Davis", r"masks/\d+\.png"),
    "ytvis": Entry("YouTubeVIS", r"ytvis\.json", "pycocotools", "coco"),
    "mots": Entry("Mots", r"mots/(gt\.txt|default/instances/(labels\.txt|[^/]+\.png))", "pycocotools", "coco"),
    "binary": Entry("Binary", r"binary/\d+\.png", dilates=True),
    "colmap": Entry("Colmap", r"colmap/(transforms\.json|masks/[^/]+\.png)", dilates=True),
    "alpha": Entry("Alpha", r"alpha/(all|object-\d+)\.mov"),
    "exr": Entry("Exr", r"exr/\d+\.exr", "OpenEXR", "exr"),
    "npz": Entry("Npz", r"masks\.npz"),
    "rrd": Entry("Rrd", r"recording\.rrd", "rerun", "rerun"),
}


def chosen_formats(names: Sequence[str], dilate: int = 0) -> dict[str, "type[Format]"]:
    """Return the classes of some formats, each name once.

    Raises SettingsError for a name or package that is not there, and where masks are to grow that none of them has.
    """
    for name in names:
        if name not in FORMATS:
            raise SettingsError(f"unknown format {name!r}", f"choose from {', '.join(FORMATS)}")
    growing = [name for name, entry in FORMATS.items() if entry.dilates]
    if dilate < 0 or (dilate and not set(growing) & set(names)):
        found = f"dilate is {dilate} with {','.join(names)}"
        raise SettingsError(f"{found}, expected 0 or more, and a format that has such masks: {', '.join(growing)}")
    return {name: _class_of(name) for name in names}


def is_format_file(path: str) -> bool:
    """Whether a format writes ``path``, relative to a result's folder."""
    return any(re.fullmatch(entry.files, path) for entry in FORMATS.values())


def _class_of(name: str) -> "type[Format]":
    entry = FORMATS[name]
    if entry.package:
        require_extra(entry.package, entry.extra, f"format {name}")
    kind: type[Format] = getattr(importlib.import_module(f"{__package__}.{name}"), entry.kind)
    return kind

"""The tree: a folder fits a screen, names tell modules apart, tests lie where what they test lies."""

from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from tests.support.paths import ROOT, TESTS

TOPS = ("runtime", "engines", "export", "calibration", "benchmarks")
MOST = 15  # modules a folder
ENTRIES = {"__init__.py", "__main__.py"}  # a package's own, in any folder


def modules(top: Path) -> list[Path]:
    """Return every module under ``top`` but packages' own."""
    return [path for path in sorted(top.rglob("*.py")) if path.name not in ENTRIES]


@pytest.mark.parametrize("top", [*TOPS, "tests"])
def test_a_folder_fits_a_screen(top: str) -> None:
    counts = Counter(path.parent for path in modules(ROOT / top))
    assert not {str(folder): count for folder, count in counts.items() if count > MOST}


@pytest.mark.parametrize("top", [*TOPS, "tests"])
def test_no_name_is_used_twice(top: str) -> None:
    # A kernel's module is named after the stage whose work it does on a GPU.
    counts = Counter(path.name for path in modules(ROOT / top) if path.parent != ROOT / "runtime/kernels")
    assert not [name for name, count in counts.items() if count > 1]


def test_tests_lie_where_what_they_test_lies() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {
        Path(),
        Path("fuzz"),
    }  # of the whole
    there = [folder for folder in folders if (ROOT / folder).is_dir() or (ROOT / "runtime" / folder).is_dir()]
    assert folders == set(there)


def test_no_import_circle() -> None:
    graph = grimp.build_graph(*(f"samotion.{top}" for top in TOPS))
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()

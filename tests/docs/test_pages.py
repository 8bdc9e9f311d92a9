"""What the pages name exists, and the README stays short."""

import re
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES
from tests.support.paths import ROOT

FOLDERS = "benchmarks|calibration|docs|engines|export|runtime|tests"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not [name for name in NAMED.findall(text) if not any(ROOT.glob(name.rstrip("/")))]
    assert not [link for link in LINK.findall(text) if not (page.parent / link).exists()]


def test_the_readme_stays_within_800_words() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 800

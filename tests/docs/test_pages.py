"""What the pages name exists, and the README stays short."""

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
from tests.docs.blocks import PAGES
from tests.support.paths import ROOT

from samotion.export.cli import build_parser as export_parser
from samotion.runtime.options import build_parser as run_parser

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


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if f": {page}\n" not in navigation]


def test_the_readme_stays_within_800_words() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 800


@pytest.mark.parametrize(
    ("parser", "pages"),
    [
        (run_parser(), ("run", "formats", "long-and-live", "many-videos")),
        (export_parser(), ("bundles", "checkpoints", "gpu", "precision")),
    ],
    ids=("samotion-run", "samotion-export"),
)
def test_every_option_is_on_a_page(parser: ArgumentParser, pages: tuple[str, ...]) -> None:
    text = "".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in pages)
    options = [action.option_strings for action in parser._actions if action.dest not in ("help", "version")]
    assert not [names for names in options if names and not any(re.search(rf"{name}\b", text) for name in names)]

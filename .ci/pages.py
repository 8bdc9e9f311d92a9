"""A hook of mkdocs: pages that lie beside what they describe, not under docs/, join the site; so do docstrings.

The site has the repository's folders, with docs/ folded into its root. Links are written as they work in the
repository; here they are turned into the site's.
"""

import atexit
import posixpath
import re
import shutil
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = ("[A-Z]*.md", "engines/nano/*.md", "engines/nano/*.jpg", "benchmarks/results/*")
LEFT_OUT = {"README.md"}  # the site has a home of its own
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let mkdocstrings read a copy of the package with an __init__.py in every folder: it finds no module without."""
    copy = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for top in ("runtime", "engines"):
        shutil.copytree(ROOT / top, copy / "samotion" / top, ignore=shutil.ignore_patterns("nano", "*.mp4"))
    shutil.copy(ROOT / ".dev" / "samotion" / "__init__.py", copy / "samotion")
    for folder in copy.glob("samotion/**/"):
        (folder / "__init__.py").touch()
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [str(copy)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files beside docs/ under the addresses that they have in the repository."""
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            address = path.relative_to(ROOT).as_posix()
            if address not in LEFT_OUT:
                here = File.generated(config, address, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV)
                files.append(here)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn the links of a page into those of the site."""
    address = page.file.src_uri
    inside = not page.file.generated_by
    folder = posixpath.dirname(f"docs/{address}" if inside else address)

    def turned(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2])).removeprefix("docs/")
        return f"{match[1]}{posixpath.relpath(target, posixpath.dirname(address) or '.')}{match[3]}"

    return LINK.sub(turned, markdown)

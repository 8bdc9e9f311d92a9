"""A hook of mkdocs: pages that lie beside what they describe, not under docs/, join the site.

The site has the repository's folders, with docs/ folded into its root. Links are written as they work in the
repository; here they are turned into the site's.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = ("[A-Z]*.md", "engines/nano/*.md", "engines/nano/*.jpg", "benchmarks/results/*")
LEFT_OUT = {"README.md"}  # the site has a home of its own
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files beside docs/ under the addresses that they have in the repository."""
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            address = path.relative_to(ROOT).as_posix()
            if address not in LEFT_OUT:
                files.append(File.generated(config, address, abs_src_path=str(path)))
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

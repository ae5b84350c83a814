"""What MkDocs does not know: pages at the top of the repository, and links that leave docs/."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
TOP_PAGES = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")
REPOSITORY = "https://github.com/goemo/goemo/blob/main/"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
CODE = re.compile(r"(```.*?^```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the top of the repository."""
    for name in TOP_PAGES:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    r"""Change what GitHub shows differently: links that leave docs/, and `\|` in the code of a table cell."""
    here = page.file.src_uri
    folder = "" if here in TOP_PAGES else posixpath.join("docs", posixpath.dirname(here))
    parts = CODE.split(markdown)  # code at odd positions
    parts[::2] = [LINK.sub(lambda found: _link(found[1], folder, here), text) for text in parts[::2]]
    parts[1::2] = [code if code.startswith("```") else code.replace("\\|", "|") for code in parts[1::2]]
    return "".join(parts)


def _link(link: str, folder: str, here: str) -> str:
    target = posixpath.normpath(posixpath.join(folder, link))
    if target in TOP_PAGES:
        page = target
    elif target.startswith("docs/"):
        page = target.removeprefix("docs/")
    else:
        return REPOSITORY + target
    return posixpath.relpath(page, posixpath.dirname(here) or ".")

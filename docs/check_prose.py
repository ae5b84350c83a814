"""Check that docstrings, messages, comments and docs avoid phrases that readers stumble over; `make lint` runs it."""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHRASES = {
    r"\bl(?:ies|ie)\b": "is in, is stored in",
    r"\bstands?\b": "is",
    r"\bis no [a-z]+": "is not a, is missing",
    r"\bbeside\b": "next to",
    r"\btold (?:of|how|the)\b": "receives, is called with",
    r"\bof (?:one's|its|their|ours?|yours?) own\b": "leave out, or: separate",
    r"\bso (?:many|long|much)\b": "the number of, up to",
    r"\b(?:whoever|nobody|somebody)\b": "the caller, no one, another user",
    r"\black(?:s|ing)?\b": "does not have, is missing",
    r"\bbe had\b": "is unavailable",
    r"\bwhere (?:it|there|none|nothing|they) (?:is|are|has|have)\b": "if",
}
EXAMPLES = ("this so much", "cannot stand this", "thank you so much")
"""Texts to classify in examples."""
PROGRAMS = ("goemo_cli", "benchmarks", "examples")


def texts_of_code(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string with a space and of every comment."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def texts_of_page(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a Markdown page."""
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def faults(root: Path) -> Iterator[str]:
    """Every avoided phrase with its place and a better word."""
    pages = sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("*/README.md")])
    programs = sorted(path for folder in PROGRAMS for path in root.glob(f"{folder}/**/*.py"))
    places = [(path, texts_of_code(path)) for path in programs]
    places += [(path, texts_of_page(path)) for path in pages if path.name != "CHANGELOG.md"]
    for path, texts in places:
        for line, text in texts:
            shown = text
            for example in EXAMPLES:
                shown = re.sub(re.escape(example), "", shown, flags=re.IGNORECASE)
            for pattern, better in PHRASES.items():
                for found in re.findall(pattern, shown, re.IGNORECASE):
                    yield f"{path.relative_to(root)}:{line}: {found!r}: write {better}"


if __name__ == "__main__":
    problems = list(faults(ROOT))
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    sys.exit(1 if problems else 0)

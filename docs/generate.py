"""Writes the reference pages that are made from the code: docs/reference/cli.md and docs/reference/config.md.

`python docs/generate.py` writes them; tests/test_docs.py compares them with what this module would write.
"""

import ast
import inspect
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel

from goemo_cli.core.settings import TrainConfig

REFERENCE = Path(__file__).parent / "reference"


def cli_reference() -> str:
    """Usage, arguments and options of every command, by Typer's own generator."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "cli.md"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "typer",
                "goemo_cli.app",
                "utils",
                "docs",
                "--name",
                "goemo",
                "--output",
                str(page),
            ],
            check=True,
            capture_output=True,
        )
        return page.read_text(encoding="utf-8").rstrip() + "\n"


def config_reference() -> str:
    """Every setting with its default and meaning, by section."""
    head = (
        "# Settings\n\nOf `goemo train`: in a YAML file (`--config`), as `section.key=value` on the command line, or by "
        "their flags. Flags beat the file, the file beats the model's defaults in `configs/models.yaml`, and those beat "
        "the defaults below. An unknown key is an error. `lr` may be written for `learning_rate`.\n"
    )
    return head + "".join(_sections(TrainConfig, ""))


def _sections(section: type[BaseModel], prefix: str) -> Iterator[str]:
    rows, inner, meanings = [], [], _field_docstrings(section)
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, f"{prefix}{name}."))
            continue
        default = (
            "null"
            if field.default is None
            else str(field.default).lower()
            if isinstance(field.default, bool)
            else field.default
        )
        rows.append(f"| `{prefix}{name}` | `{default}` | {_meaning(meanings.get(name, ''), kind)} |")
    if rows:
        yield f"\n## {prefix.rstrip('.')}\n\n{(section.__doc__ or '').strip()}\n\n| setting | default | meaning |\n| --- | --- | --- |\n"
        yield "\n".join(rows) + "\n"
    for kind, name in inner:
        yield from _sections(kind, name)


def _field_docstrings(section: type[BaseModel]) -> dict[str, str]:
    """The strings that stand under the fields of a class; pydantic could collect them, at every start of goemo."""
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _meaning(description: str, kind: object) -> str:
    choices = [str(value) for value in getattr(kind, "__args__", ()) if isinstance(value, str)]
    parts = [" or ".join(f"`{choice}`" for choice in choices), " ".join(description.split())]
    return ". ".join(part.rstrip(".") for part in parts if part).replace("|", "\\|")


def main() -> None:
    """Write both pages."""
    (REFERENCE / "cli.md").write_text(cli_reference(), encoding="utf-8")
    (REFERENCE / "config.md").write_text(config_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()

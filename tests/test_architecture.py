"""Who may import whom, who may talk, who may write files: read off the source."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import goemo_cli
from tests.waiting import GUARD_SECONDS

PACKAGE = Path(goemo_cli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers", "sklearn", "pandas", "matplotlib", "wandb", "datasets", "accelerate"}
MAY_IMPORT = {
    "core": {"core"},
    "ml": {"core", "ml"},
    "tracking": {"core", "tracking"},
    "services": {"core", "ml", "tracking", "services"},
    "commands": {"core", "services", "commands"},
    "app": {"commands"},
    "__main__": {"app"},
    "__init__": {"services"},  # lazily
}

each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES]
)


def part_of(path: Path) -> str:
    """`core`, `ml`, ..., or the name of a module at the top."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything that is imported, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                (f"{'.' * node.level}{node.module or ''}.{name.name}", node.lineno) for name in node.names
            )


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported; not those under TYPE_CHECKING."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
        waiting.extend(
            inner
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.ExceptHandler, ast.match_case))
            for inner in child.body
        )


def imported_at_import(tree: ast.Module) -> set[str]:
    """The outermost packages that importing the module imports directly."""
    return {
        name.split(".")[0]
        for node in at_import(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name, _ in imports(node)
    }


def names_used(tree: ast.AST) -> set[str]:
    """Dotted names as they are written: `print`, `sys.exit`, `os.environ`."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))}


@each_module
def test_parts_import_only_what_they_may(path: Path):
    part = part_of(path)
    for name, line in imports(tree_of(path)):
        package, _, rest = name.partition(".")
        if package == "goemo_cli" and rest != "__version__":
            assert rest.split(".")[0] in MAY_IMPORT[part], f"{path}:{line}: {part} imports {name}"


@each_module
def test_the_mathematics_and_the_trackers_know_no_file_layout(path: Path):
    if part_of(path) in ("ml", "tracking"):
        for name, line in imports(tree_of(path)):
            assert not name.startswith("goemo_cli.core.layout"), f"{path}:{line}"


@each_module
def test_no_import_is_relative(path: Path):
    assert [name for name, _ in imports(tree_of(path)) if name.startswith(".")] == []


@each_module
def test_only_the_app_and_the_commands_talk_to_the_terminal(path: Path):
    tree = tree_of(path)
    packages = {name.split(".")[0] for name, _ in imports(tree)}
    assert "click" not in packages, "typer carries its own copy"
    if part_of(path) in ("app", "commands", "__main__"):
        return
    assert not packages & {"typer", "rich"}
    assert not names_used(tree) & {
        "print",
        "input",
        "exit",
        "quit",
        "sys.exit",
        "os._exit",
        "sys.stdout",
        "sys.stderr",
    }
    assert "SystemExit" not in names_used(tree)


@each_module
def test_the_environment_is_read_in_known_places_only(path: Path):
    used = names_used(tree_of(path)) & {"os.environ", "os.getenv", "os.putenv", "environ", "getenv"}
    allowed = path.relative_to(PACKAGE).as_posix() in ("core/settings.py", "commands/_errors.py")
    assert not used or allowed or part_of(path) == "tracking"


@each_module
def test_every_module_opens_with_a_sentence_of_its_own(path: Path):
    docstring = ast.get_docstring(tree_of(path), clean=False)
    assert docstring, "no docstring"
    first, *rest = docstring.split("\n")
    assert first.strip(), "the docstring begins with an empty line"
    assert not rest or not rest[0].strip(), "the first line is not the whole sentence"


@each_module
def test_heavy_packages_load_only_where_they_work(path: Path):
    if part_of(path) in ("app", "commands", "core", "__init__", "__main__"):
        assert not imported_at_import(tree_of(path)) & HEAVY


@each_module
def test_heavy_packages_are_never_imported_in_core_at_all(path: Path):
    if part_of(path) == "core":
        assert not {name.split(".")[0] for name, _ in imports(tree_of(path))} & HEAVY


WRITERS = {
    "write_text",
    "write_bytes",
    "to_csv",
    "to_json",
    "to_parquet",
    "savefig",
    "save_pretrained",
    "save_file",
}


def bare_writes(tree: ast.Module) -> list[str]:
    """Calls that write a file outside a `with atomic_path(...)` or `with staged_files(...)` block."""
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any(
            ast.unparse(item.context_expr).startswith(("atomic_path(", "staged_files("))
            for item in node.items
        )
        for inner in ast.walk(node)
    }
    return [
        f"line {node.lineno}: {ast.unparse(node.func)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and id(node) not in guarded and _writes(node)
    ]


def _writes(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if "LineFeeds(" in ast.unparse(call):
        return False  # pandas writes into a stream
    if isinstance(call.func, ast.Attribute) and call.func.attr in WRITERS:
        return True
    if name in ("torch.save", "np.save", "np.savez", "numpy.save", "json.dump", "pickle.dump", "save_file"):
        return True
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr == "open"
    if name not in ("open", "io.open", "gzip.open") and not is_method:
        return False
    at = 0 if is_method and name != "io.open" else 1
    modes = [*call.args[at : at + 1], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in modes)


@each_module
def test_files_are_written_whole_or_not_at_all(path: Path):
    if path != PACKAGE / "core" / "files.py":
        assert bare_writes(tree_of(path)) == []


def test_the_checks_notice_what_they_are_for():
    """Each check, shown a fault of its own kind."""
    heavy = "try:\n    import torch\nexcept ImportError:\n    from pandas import DataFrame\nclass A:\n    import sklearn.svm"
    assert imported_at_import(ast.parse(heavy)) == {"torch", "pandas", "sklearn"}
    lazy = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import pandas"
    )
    assert imported_at_import(ast.parse(lazy)) == {"typing"}
    assert list(imports(ast.parse("from . import a\nfrom ..b import c"))) == [("..a", 1), ("..b.c", 2)]
    for write in (
        "open(path, 'w')",
        "path.open('wb')",
        "path.open(mode='a')",
        "path.write_text('x')",
        "table.to_csv(path)",
        "figure.savefig(path)",
        "torch.save(state, path)",
        "save_file(arrays, path)",
    ):
        assert bare_writes(ast.parse(write)), write
        assert not bare_writes(ast.parse(f"with atomic_path(p) as path:\n    {write}")), write
    for read in (
        "open(path)",
        "path.open('rb')",
        "path.open(encoding='utf-8')",
        "Checkpoint.open(path)",
        "Image.open(p)",
    ):
        assert not bare_writes(ast.parse(read)), read


STARTS = [
    pytest.param(["--help"], 0, id="help"),
    pytest.param(["--version"], 0, id="version"),
    pytest.param(["train", "--help"], 0, id="help of train"),
    pytest.param(["train", "--no-such-flag"], 2, id="usage error"),
    pytest.param(["no-such-command"], 2, id="unknown command"),
    pytest.param(["train", "training.epoch=3"], 2, id="unknown setting"),
    pytest.param(["train", "--config", "no/such/file.yaml"], 4, id="no such config"),
    pytest.param(["export-predictions", "--checkpoint", "no/such/folder"], 4, id="no such checkpoint"),
    pytest.param(["models"], 0, id="models"),
]


@pytest.mark.parametrize(("arguments", "code"), STARTS)
def test_quick_answers_load_nothing_heavy(arguments: list[str], code: int, tmp_path: Path):
    program = f"""
import sys
from goemo_cli.app import app
try:
    app({arguments!r})
except SystemExit as stopped:
    code = stopped.code or 0
loaded = sorted({HEAVY!r} & set(sys.modules))
sys.exit(f"loaded {{loaded}}" if loaded else None if code == {code} else f"exit code {{code}}")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_tests_wait_for_events_and_skip_only_without_a_browser(path: Path):
    """A limit in seconds fails on a slow machine: `tests.waiting` has the one guard, of ten minutes."""
    if path.name == "waiting.py":
        return
    tree = tree_of(path)
    limits: list[Any] = [
        word.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "timeout" and isinstance(word.value, ast.Constant)
    ]
    assert all(limit is None or limit < 1 for limit in limits), limits  # below 1: the answer must be missing
    assert "time.sleep" not in names_used(tree)
    assert "pytest.importorskip" not in names_used(tree) or path.parent.name == "browser"

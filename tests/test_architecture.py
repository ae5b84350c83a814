"""Who may import whom, who may talk, who may write files: read off the source."""

import ast
import multiprocessing
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import goemo_cli
from goemo_cli.app import COMMANDS
from goemo_cli.core.layout import Layout
from tests import as_on_windows
from tests.processes import python

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
    "api": {"core", "services"},
    "__init__": {"api", "core", "services"},  # lazily
}


@cache
def trees() -> dict[Path, ast.Module]:
    """Each module of goemo, parsed: not at import, since each process of the tests imports this file."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


@cache
def nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes below one."""
    return [*ast.walk(tree)]


@cache
def calls_of(tree: ast.Module) -> list[tuple[ast.Call, str]]:
    """Each call of a module, and the name that is called."""
    return [(node, dotted(node.func)) for node in nodes(tree) if isinstance(node, ast.Call)]


def dotted(node: ast.AST) -> str:
    """A name as it is written: `print`, `os.environ`."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ast.unparse(node)


def part_of(path: Path) -> str:
    """`core`, `ml`, ..., or the name of a module at the top."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything that is imported, `from a import b` as `a.b`."""
    for node in nodes(tree):
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


@cache
def names_used(tree: ast.AST) -> set[str]:
    """Dotted names as they are written: `print`, `sys.exit`, `os.environ`."""
    return {dotted(node) for node in nodes(tree) if isinstance(node, (ast.Name, ast.Attribute))}


def test_parts_import_only_what_they_may():
    for path, tree in trees().items():
        part = part_of(path)
        for name, line in imports(tree):
            package, _, rest = name.partition(".")
            if package == "goemo_cli" and rest != "__version__":
                assert rest.split(".")[0] in MAY_IMPORT[part], f"{path}:{line}: {part} imports {name}"


def test_the_mathematics_and_the_trackers_know_no_file_layout():
    for path, tree in trees().items():
        if part_of(path) in ("ml", "tracking"):
            for name, line in imports(tree):
                assert not name.startswith("goemo_cli.core.layout"), f"{path}:{line}"


def test_only_the_app_and_the_commands_talk_to_the_terminal():
    talk = {
        "print",
        "input",
        "exit",
        "quit",
        "sys.exit",
        "os._exit",
        "sys.stdout",
        "sys.stderr",
        "SystemExit",
    }
    for path, tree in trees().items():
        packages = {name.split(".")[0] for name, _ in imports(tree)}
        assert "click" not in packages, f"{path}: typer carries its own copy"
        if part_of(path) not in ("app", "commands", "__main__"):
            assert not packages & {"typer", "rich"}, path
            leaves = (
                {"sys.exit"} if path == PACKAGE / "core" / "system" / "processes.py" else set()
            )  # after a signal
            assert not names_used(tree) & talk - leaves, path


def test_the_environment_is_read_in_known_places_only():
    reads = {"os.environ", "os.getenv", "os.putenv", "environ", "getenv"}
    for path, tree in trees().items():
        allowed = path.relative_to(PACKAGE).as_posix() in ("core/system/variables.py", "commands/_errors.py")
        assert allowed or part_of(path) == "tracking" or not names_used(tree) & reads, path


def test_every_module_opens_with_a_sentence_of_its_own():
    for path, tree in trees().items():
        docstring = ast.get_docstring(tree, clean=False)
        assert docstring, f"{path}: no docstring"
        first, *rest = docstring.split("\n")
        assert first.strip(), f"{path}: the docstring begins with an empty line"
        assert not rest or not rest[0].strip(), f"{path}: the first line is not the whole sentence"


def test_heavy_packages_load_only_where_they_work():
    for path, tree in trees().items():
        if part_of(path) in ("app", "commands", "core", "__init__", "__main__"):
            assert not imported_at_import(tree) & HEAVY, path
        if part_of(path) == "core":
            assert not {name.split(".")[0] for name, _ in imports(tree)} & HEAVY, path


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
        for node in nodes(tree)
        if isinstance(node, ast.With)
        and any(
            ast.unparse(item.context_expr).startswith(("atomic_path(", "atomic_folder(", "staged_files("))
            for item in node.items
        )
        for inner in ast.walk(node)
    }
    return [
        f"line {node.lineno}: {name}"
        for node, name in calls_of(tree)
        if id(node) not in guarded and _writes(node, name) and "LineFeeds(" not in ast.unparse(node)
    ]  # pandas writes into a stream


def _writes(call: ast.Call, name: str) -> bool:
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


def test_files_are_written_whole_or_not_at_all():
    for path, tree in trees().items():
        if path != PACKAGE / "core" / "files.py":
            assert bare_writes(tree) == [], path


SYSTEM_MODULES = {
    "core/system/locks.py": {"fcntl", "msvcrt", "filelock", "portalocker"},
    "core/system/processes.py": {"ctypes", "resource", "select", "selectors", "signal", "winreg", "_winapi"},
    "nowhere": {"grp", "posix", "pty", "pwd", "syslog", "termios", "tty"},
}
SYSTEM_CALLS = {
    "core/files.py": {
        *{
            f"os.{name}"
            for name in ("link", "rename", "renames", "replace", "symlink", "truncate64", "umask")
        },
        *{f"os.{name}" for name in ("chmod", "chown", "fchmod", "fdatasync", "fsync", "open", "sync")},
        *("shutil.move", ".chmod", ".hardlink_to", ".lchmod", ".rename", ".replace", ".symlink_to"),
    },
    "core/system/locks.py": {"os.open", "fcntl.flock"},
    "core/system/processes.py": {
        *{
            f"os.{name}"
            for name in ("abort", "dup2", "fork", "forkpty", "getloadavg", "getpgid", "kill", "killpg")
        },
        *{
            f"os.{name}"
            for name in ("nice", "open", "pipe", "sched_getaffinity", "setpgid", "setsid", "sysconf")
        },
        *{
            f"{name}="
            for name in ("creationflags", "pass_fds", "preexec_fn", "process_group", "start_new_session")
        },
    },
}
"""Calls and keywords of calls. `.rename` and `.replace` are those of a path: with one argument, without keywords."""


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of each call that is written with a dotted name, of the methods of paths, and of keywords."""
    for node, name in calls_of(tree):
        yield name, node.lineno
        yield from ((f"{word.arg}=", node.lineno) for word in node.keywords)
        takes_one = len(node.args) == 1 and not node.keywords
        if isinstance(node.func, ast.Attribute) and (takes_one or node.func.attr.endswith("_to")):
            yield f".{node.func.attr}", node.lineno


def test_each_difference_between_systems_is_in_one_module():
    """Locks, renames and signals. `make types-elsewhere` finds the names that Windows and macOS do not have."""
    for path, tree in trees().items():
        here = path.relative_to(PACKAGE).as_posix()
        allowed_modules, allowed_calls = SYSTEM_MODULES.get(here, set()), SYSTEM_CALLS.get(here, set())
        for name, line in imports(tree):
            package = name.split(".")[0]
            elsewhere = set().union(*SYSTEM_MODULES.values()) - allowed_modules
            assert package not in elsewhere, f"{path}:{line}: {package}"
        for name, line in calls(tree):
            assert name not in set().union(*SYSTEM_CALLS.values()) - allowed_calls, f"{path}:{line}: {name}"
        assert here == "core/system/processes.py" or not {"sys.getwindowsversion", "os.uname"} & names_used(
            tree
        ), path


def test_text_has_the_same_bytes_on_all_systems():
    """Text that is written says its encoding and its line ends; Windows would choose others."""
    for path, tree in trees().items():
        for node, _ in calls_of(tree):
            if not isinstance(node.func, ast.Attribute):
                continue
            words = {word.arg for word in node.keywords}
            modes = [mode.value for mode in node.args[:1] if isinstance(mode, ast.Constant)]
            if (
                node.func.attr == "open"
                and modes
                and set(str(modes[0])) & set("wax+")
                and "b" not in str(modes[0])
            ):
                assert {"encoding", "newline"} <= words, f"{path}:{node.lineno}"
            assert node.func.attr != "write_text" or "newline" in words, (
                f"{path}:{node.lineno}: core.files has one"
            )


@pytest.mark.skipif(sys.platform != "linux", reason="locks of Linux play those of Windows")
def test_goemo_works_without_what_windows_does_not_have(tmp_path: Path):
    """In a copy of this process, which has most packages loaded already."""
    process = multiprocessing.get_context("fork").Process(target=as_on_windows.main, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0


SUBCOMMANDS = [name for group in COMMANDS.values() for name in group]
SLOW_START = {"pydantic", "rich", "numpy", "yaml"}
"""Packages that `goemo --help` does without, so that it takes less than half the time of other help pages."""
STARTS = [
    (["--help"], 0),
    (["--version"], 0),
    (["no-such-command"], 2),
    *(([name, "--help"], 0) for name in SUBCOMMANDS),
    *(([name, "--no-such-flag"], 2) for name in SUBCOMMANDS),
    (["train", "training.epoch=3"], 2),
    (["train", "--config", "no/such/file.yaml"], 4),
    (["export-predictions", "--checkpoint", "no/such/folder"], 4),
    (["models"], 0),
]


def test_quick_answers_load_nothing_heavy(tmp_path: Path):
    """One after the other in one process, so that the first that loads something is named."""
    program = f"""
import sys
from goemo_cli.app import app
for arguments, expected in {STARTS!r}:
    try:
        app(arguments)
    except SystemExit as stopped:
        code = stopped.code or 0
    heavy = {HEAVY!r} | ({SLOW_START!r} if arguments[0] in ("--help", "--version") else set())
    loaded = sorted(heavy & set(sys.modules))
    if loaded or code != expected:
        sys.exit(f"{{arguments}} loaded {{loaded}}, exit code {{code}}")
"""
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


COSTLY = HEAVY | {
    "scipy.stats", "sympy", "torch._dynamo", "huggingface_hub", "pooch", "requests", "optuna", "jinja2",
}  # fmt: skip
"""Modules whose import takes longer than the rest of a short command."""
NEEDED = [
    (["runs", "list"], set[str]()),
    (["validate"], {"pandas", "requests"}),
    (["compare", "@tiny", "@tfidf"], {"pandas", "requests"}),
    (["report", "@tiny"], {"pandas", "requests", "jinja2"}),
    (["predict", "--checkpoint", "@tfidf", "ok"], {"pandas", "requests", "jinja2", "scipy.stats", "sklearn"}),
]
"""Commands on finished runs with what they may import, those of the commands before included."""


def test_commands_import_only_what_they_need(two_runs: Path, tmp_path: Path):
    root = shutil.copytree(two_runs, tmp_path / "root")
    Layout(root).figures.mkdir(parents=True, exist_ok=True)  # `goemo validate` knows their names
    predict = (["predict", "--checkpoint", "@tiny", "ok"], {"torch"})
    for commands in (NEEDED, [predict]):
        program = f"""
import sys
from goemo_cli.app import app
for arguments, needed in {commands!r}:
    try:
        app([*arguments, "--root", {str(root)!r}])
    except SystemExit as stopped:
        code = stopped.code or 0
    loaded = sorted({COSTLY!r} & set(sys.modules) - needed)
    if loaded or code not in (0, 3):  # 3: validate, which draws more often than these tests
        sys.exit(f"{{arguments}} loaded {{loaded}}, exit code {{code}}")
"""
        done = python("-c", program)
        assert done.returncode == 0, done.stderr


def test_tests_wait_for_events_and_skip_only_without_a_browser():
    """A limit in seconds fails on a slow machine: `tests.waiting` has the one guard, of ten minutes."""
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if path.name == "waiting.py":
            continue
        text = path.read_text(encoding="utf-8")
        if not re.search("timeout|sleep|importorskip", text):
            continue
        tree = ast.parse(text)
        limits: list[Any] = [
            word.value.value
            for node in nodes(tree)
            if isinstance(node, ast.Call)
            for word in node.keywords
            if word.arg == "timeout" and isinstance(word.value, ast.Constant)
        ]
        # below 1: the answer must be missing
        assert all(limit is None or limit < 1 for limit in limits), (path, limits)
        assert "time.sleep" not in names_used(tree), path
        assert "pytest.importorskip" not in names_used(tree) or path.parent.name == "browser", path


_TAKES_A_PATH = re.compile(
    r"goemo [a-z][a-z -]*.*--(checkpoint|config|data|data-dir|model|predictions|root|input|output) $"
)


def test_paths_in_commands_to_type_are_quoted():
    """`core.hints.command_line` quotes them; an f-string does not."""
    for path, tree in trees().items():
        for text in (node for node in nodes(tree) if isinstance(node, ast.JoinedStr)):
            before = ""
            for part in text.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                elif isinstance(part, ast.FormattedValue):
                    is_quoted = "quote(" in ast.unparse(part.value)
                    assert is_quoted or not _TAKES_A_PATH.search(before), f"{path}:{part.lineno}: {before}"
                    before += "X"

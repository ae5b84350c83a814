"""goemo commands in forked processes, in a project with an older run, and what must hold after they were disturbed."""

import contextlib
import fnmatch
import io
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.files import PARTIAL_PREFIX, sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import is_resumable
from goemo_cli.services.training.model_factory import create_model
from goemo_cli.services.validation import validate_artifacts
from tests.resuming import content_of, logged_steps

MAX_LINES = 3
"""Of an error: the problem, its place and what to do."""
WORDS = {"anger": ("bad", "awful", "mad"), "joy": ("happy", "glad", "nice"), "neutral": ("table", "day", "walk")}  # fmt: skip
"""Words of the texts of each label."""
SWEEP = """
name: small
method: grid
metric: {{name: val/f1_macro, goal: maximize}}
parameters:
  model.name: {{value: tfidf}}
  data.name: {{value: {data}}}
  training.seed: {{values: [1, 2]}}
"""
Limit = Callable[[], object]


class Command:
    """A goemo command in a process of its own, which is forked, so that its packages are loaded.

    Args:
        arguments: of the command line.
        folder: for what it prints.
        limit: called in the process before the command, to change its surroundings.
        pause: the process stops itself before a file or folder whose name matches gets its name; see `at_pause`.
        nth: at which match.
    """

    def __init__(
        self, *arguments: object, folder: Path, limit: Limit | None = None, pause: str = "", nth: int = 1
    ) -> None:
        self._printed, self._said = folder / "stdout", folder / "stderr"
        self._code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                _redirect(self._printed, self._said)
                if pause:
                    _pause_before(pause, nth)
                if limit:
                    limit()
                app([str(argument) for argument in arguments], prog_name="goemo")
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)

    def at_pause(self) -> None:
        """Wait until the process has stopped itself.

        Raises:
            RuntimeError: it ended before.
        """
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._code = os.waitstatus_to_exitcode(status)
            raise RuntimeError(f"ended before it paused: {self.code} {self.said}")

    def go_on(self) -> None:
        """Let a stopped process continue."""
        os.kill(self.pid, signal.SIGCONT)

    def runs(self) -> bool:
        """Whether the process has not ended yet."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is None

    @property
    def code(self) -> int:
        """The exit code, as soon as the process has ended; negative after a signal."""
        if self._code is None:
            _, status = os.waitpid(self.pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
        return self._code

    @property
    def said(self) -> str:
        """What it wrote to standard error."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    @property
    def error(self) -> str:
        """The error that it ended with, and its hint."""
        return "\n".join(line for line in self.said[self.said.rfind("Error:") :].splitlines() if line)


@dataclass(frozen=True)
class Base:
    """What all trials start from.

    Attributes:
        template: a project with a finished run, and a model folder of another tool.
        arguments: of the training that is disturbed.
        reference: the run of an undisturbed training, and its layout.
    """

    template: Path
    arguments: tuple[str, ...]
    reference: tuple[Checkpoint, Layout]

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Write the data, and train both runs in this process, so that its forks have all packages loaded."""
        data, template, undisturbed = (folder / name for name in ("data", "template", "undisturbed"))
        _write_data(data)
        arguments = ("train", "--model", "tiny", "--data", str(data), "--epochs", "2", "--batch-size", "32",
                     "training.save_every_minutes=0.00001")  # fmt: skip
        older = ("train", "--model", "tfidf", "--data", str(data))
        for root, command in ((template, older), (undisturbed, arguments)):
            done = CliRunner().invoke(app, [*command, "--root", str(root)])
            if done.exit_code:
                raise RuntimeError(done.output)
        create_model("tiny", labels=list(WORDS)).save_pretrained(template / "model")
        layout = Layout(undisturbed)
        return cls(template, arguments, (Checkpoint.open(next(layout.checkpoints())), layout))

    def case(self, folder: Path) -> "Case":
        """A trial in an empty folder."""
        return Case(folder, self.template, self.arguments, self.reference)


def _write_data(folder: Path) -> None:
    """A small data set with splits, and a sweep over it."""
    folder.mkdir(parents=True)
    for split, size in (("train", 96), ("val", 40), ("test", 40)):
        rows = [_row(split, number) for number in range(size)]
        (folder / f"{split}.csv").write_text("text,labels\n" + "".join(rows), encoding="utf-8")
    (folder / "sweep.yaml").write_text(SWEEP.format(data=folder), encoding="utf-8")


def _row(split: str, number: int) -> str:
    names = [*WORDS][number % 3 : number % 3 + 1 + (number % 4 == 0)]
    words = [WORDS[name][(number + at) % 3] for name in names for at in (0, 1)]
    return f'"{" ".join(words)} {split} {number}","{",".join(names)}"\n'


@dataclass(frozen=True)
class Case:
    """One trial: a project with an older run, and the command that is disturbed.

    Attributes:
        folder: for everything of this trial.
        template, arguments, reference: of `Base`.
    """

    folder: Path
    template: Path
    arguments: tuple[str, ...]
    reference: tuple[Checkpoint, Layout]

    @cached_property
    def root(self) -> Path:
        """The project."""
        return self.folder / "project"

    @property
    def layout(self) -> Layout:
        """Of the project."""
        return Layout(self.root)

    def prepare(self) -> None:
        """Copy the older run into the project."""
        shutil.copytree(self.template, self.root, dirs_exist_ok=True)

    def filled_in(self, argument: str) -> str:
        """An argument with the folders of this trial instead of DATA and ROOT, and the older run instead of RUN."""
        older = Checkpoint.open(next(iter(Layout(self.template).checkpoints()))).run.file_stem
        data = self.arguments[self.arguments.index("--data") + 1]
        return argument.replace("DATA", data).replace("ROOT", str(self.root)).replace("RUN", older)

    def train(self, **options: object) -> Command:
        """Start the training."""
        return self.run(*self.arguments, **options)

    def resume(self, **options: object) -> Command:
        """Start to continue it."""
        return self.run("train", "--resume", "@latest", **options)

    def run(self, *arguments: object, **options: object) -> Command:
        """Start another command in the project."""
        number = len(list(self.folder.glob("command-*")))
        folder = self.folder / f"command-{number}"
        folder.mkdir(parents=True)
        return Command(*arguments, "--root", self.root, folder=folder, **options)  # type: ignore[arg-type]

    def faults(self, command: Command, code: int | tuple[int, ...], *words: str) -> list[str]:
        """What is wrong with the end of a command, and with the project after it.

        Args:
            command: waited for.
            code: expected, or several that are right.
            words: that its messages must contain.
        """
        allowed = (code,) if isinstance(code, int) else code
        found = (
            [] if command.code in allowed else [f"exit {command.code}, not {code}: {command.said[-1500:]}"]
        )
        if "Traceback" in command.said:
            found.append(f"a traceback: {command.said[-1500:]}")
        if "Error:" in command.said and len(command.error.splitlines()) > MAX_LINES:
            found.append(f"a long error: {command.error}")
        found += [f"no {word!r} in: {command.said[-1500:]}" for word in words if word not in command.said]
        return found + self.damage()

    def damage(self) -> list[str]:
        """Older files that changed, and files that `goemo validate` refuses."""
        older = Checkpoint.open(next(iter(Layout(self.template).checkpoints())))
        found = [
            f"{path} changed"
            for path, digest in digests(self.template).items()
            if older.run.stamp in path and not _is(self.root / path, digest)
        ]
        return found + [f"validate: {problem}" for problem in validate_artifacts(self.layout).problems]

    def remove_partial_files(self) -> None:
        """Remove what a killed process has left, as `goemo validate --fix` does later."""
        for path in self.root.rglob(f"{PARTIAL_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)

    def repeated(self) -> list[str]:
        """Continue the training, or train if there is nothing to continue; what differs from the undisturbed one."""
        states = [path for path in self.layout.checkpoints() if is_resumable(path)]
        if states:
            command = self.resume()
            found = self.faults(command, 0)
        elif not self._finished:
            command = self.train()
            found = self.faults(command, 0)
        else:
            found = []
        if len(self._finished) != 1:
            return [*found, f"{len(self._finished)} finished runs"]
        run, (reference, layout) = Checkpoint.open(self._finished[0]), self.reference
        ours, theirs = content_of(run, self.layout), content_of(reference, layout)
        found += [f"{name} differs" for name in theirs if ours.get(name) != theirs[name]]
        if logged_steps(run, self.layout) != logged_steps(reference, layout):
            found.append("the journal differs")
        return found

    @property
    def _finished(self) -> list[Path]:
        model = self.reference[0].run.model
        return [
            path
            for path in self.layout.checkpoints()
            if path.name.startswith(model) and (path / MANIFEST).is_file()
        ]


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def full(folder: Path, *, left: int = 0) -> Iterator[None]:
    """A file that fills the disk of a folder, but for some bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        size = 1 << 20
        while size:
            try:
                stream.write(b"x" * size)
            except OSError:
                size //= 2
        stream.truncate(stream.tell() - left)
    try:
        yield
    finally:
        ballast.unlink()


def _redirect(printed: Path, said: Path) -> None:
    for number, path in ((1, printed), (2, said)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout = sys.__stdout__ = _stream(1)  # type: ignore[misc]  # as of a new process, not pytest's
    sys.stderr = sys.__stderr__ = _stream(2)  # type: ignore[misc]  # likewise


def _stream(number: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", write_through=True)


def _pause_before(pattern: str, nth: int) -> None:
    """Let this process stop itself before the nth file or folder of some name gets it."""
    left = nth

    def pausing(rename: Callable[..., None]) -> Callable[..., None]:
        def paused(source: str | Path, target: str | Path, **options: object) -> None:
            nonlocal left
            if fnmatch.fnmatch(Path(target).name, pattern):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGSTOP)
            rename(source, target, **options)

        return paused

    os.replace, os.rename = pausing(os.replace), pausing(os.rename)

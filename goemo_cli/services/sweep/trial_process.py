"""One trial as a separate `goemo train` process, so that trials are isolated from each other."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import CONFIG as SAVED_CONFIG
from goemo_cli.core.checkpoint import STATE
from goemo_cli.core.errors import CorruptArtifactError, GoemoError
from goemo_cli.core.files import read_json_object, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import FROZEN_FOLDER, TrainConfig
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.tracking.journal import LogLine, StartLine, complete_lines, parse_line

CONFIG, RESULT, LOG = "config.yaml", "result.json", "log.txt"
_END_SECONDS = 20.0
_LAST_BYTES = 8192
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class TrialProcess:
    """A training that has been started.

    Args:
        shared: the folder for what the trainings of the sweep share.
        folder: gets the settings, what the process says, and its result; an earlier result there is gone.
        config: resolved settings.
        layout: where the run goes.
        threads: how many the process computes with.
        tag: what its run carries among W&B's tags; no other run has it.
        resumed: an interrupted run with these settings, which is continued.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        *,
        layout: Layout,
        shared: Path,
        threads: int,
        tag: str,
        resumed: Path | None = None,
    ) -> None:
        self.folder, self.layout, self.tag = folder, layout, tag
        self.started = time.time()
        self._journal: Path | None = None
        self._passed_by: set[Path] = set()
        write_text(folder / CONFIG, config.to_yaml())
        (folder / RESULT).unlink(missing_ok=True)
        command = [
            "env", f"OMP_NUM_THREADS={threads}", f"MKL_NUM_THREADS={threads}", "TOKENIZERS_PARALLELISM=false",
            f"{FROZEN_FOLDER}={shared.resolve()}",
            sys.executable, "-m", "goemo_cli", "train", "--root", str(layout.root), "--json",
            *(["--resume", str(resumed), "--allow-changes"] if resumed else ["--config", str(folder / CONFIG)]),
        ]  # fmt: skip
        with _written(folder / RESULT) as result, _written(folder / LOG) as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=result, stderr=log,
                start_new_session=True,  # Ctrl-C is the sweep's business
                preexec_fn=_end_with_parent,
            )  # fmt: skip

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def epochs(self, key: str) -> dict[int, float]:
        """A number of the epochs so far, by epoch, from the run's journal."""
        if self._journal is None:
            self._journal = self._find_journal()
        if self._journal is None:
            return {}
        lines = [parse_line(self._journal, line) for line in complete_lines(self._journal)]
        return {
            line.epoch: line.values[key]
            for line in lines
            if isinstance(line, LogLine) and line.epoch and key in line.values
        }

    def stop(self) -> None:
        """End it gently, and if that does not help, at once."""
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _find_journal(self) -> Path | None:
        """The journal whose settings carry the tag."""
        for path in set(self.layout.journals.glob("*.jsonl")) - self._passed_by:
            if path.stat().st_mtime < self.started - 1:
                self._passed_by.add(path)
            elif lines := complete_lines(path):
                start = parse_line(path, lines[0])
                settings = start.settings if isinstance(start, StartLine) else {}
                if self.tag in settings.get("logging", {}).get("wandb", {}).get("tags", ()):
                    return path
                self._passed_by.add(path)
        return None


def interrupted_run(layout: Layout, tags: Sequence[str]) -> tuple[Path, str] | None:
    """The folder of an interrupted run that carries one of the tags, and the tag; None if there is none."""
    for run in listed_runs(layout) if tags else ():
        if run.state == "interrupted":
            with contextlib.suppress(GoemoError, OSError):
                carried = TrainConfig.of_run(run.path / STATE / SAVED_CONFIG)[0].logging.wandb.tags
                if tag := next((tag for tag in tags if tag in carried), None):
                    return run.path, tag
    return None


def finished_run(folder: Path) -> str | None:
    """The run that a trial's process has finished; None if it has not."""
    try:
        return str(read_json_object(folder / RESULT)["run"])
    except (OSError, CorruptArtifactError, KeyError):
        return None


def reason(folder: Path, code: int) -> str:
    """Why a process ended without a run: the error it printed, or the signal."""
    with contextlib.suppress(OSError):
        text = (folder / LOG).read_bytes()[-_LAST_BYTES:].decode("utf-8", "replace")
        errors = [line.removeprefix("Error: ") for line in text.splitlines() if line.startswith("Error: ")]
        if errors:
            return errors[-1].strip()
    if code < 0:
        name = signal.Signals(-code).name
        return f"ended by {name}" + ("; out of memory?" if -code == signal.SIGKILL else "")
    return f"ended with exit code {code}"


def trial_config(settings: Mapping[str, Any], *, layout: Layout, tags: Sequence[str] = ()) -> TrainConfig:
    """The resolved settings of a trial, as `goemo train` would have them.

    Args:
        settings: dotted names with their values.
        layout: whose runs `model.name` may refer to.
        tags: added to those that W&B's mirror would show; they tell whose run it is.
    """
    config = resolve_settings(None, settings, layout=layout)
    if not tags:
        return config
    wandb = config.logging.wandb.model_copy(update={"tags": [*config.logging.wandb.tags, *tags]})
    return config.model_copy(update={"logging": config.logging.model_copy(update={"wandb": wandb})})


@contextlib.contextmanager
def _written(path: Path) -> Iterator[int]:
    """A file that a process writes as it goes, which is what these two are for."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _end_with_parent() -> None:
    """End the training if the sweep is killed (Linux only); otherwise it would continue without a sweep."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

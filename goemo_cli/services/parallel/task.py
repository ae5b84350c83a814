"""One of several trainings: what its process is given, and what it leaves in its folder."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.checkpoint import MANIFEST, STATE, TRAINING_RECORD
from goemo_cli.core.documents.training import SeedGroup
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import dump_json, read_json_object, write_text
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.processes import KILL, signal_name
from goemo_cli.core.system.variables import EVENTS_FILE, FROZEN_FOLDER, SEED_GROUP, environment
from goemo_cli.services.parallel.event_file import run_folder

CONFIG, RESULT, LOG, EVENTS, STOP = "config.yaml", "result.json", "log.txt", "events.jsonl", "stop"
_LAST_BYTES = 8192


@dataclass(frozen=True)
class Task:
    """A training that a process makes.

    Its folder gets the settings, the messages of the process, its events and its result.
    """

    name: str
    """For messages, such as `seed 43`."""
    folder: Path
    root: Path
    """Where the run goes."""
    shared: Path
    """The folder for what several trainings share."""
    threads: int
    """The number of threads that the process computes with."""
    group: SeedGroup | None = None
    """The training with several seeds that it belongs to."""
    continued: Path | None = None
    """An interrupted run with the same settings, which is continued."""
    allow_changes: bool = False
    """Continue a run although versions or hardware have changed."""

    def begin(self, config: TrainConfig) -> None:
        """Write the settings, and remove what an earlier task left in the folder."""
        for name in (RESULT, EVENTS, LOG, STOP):
            (self.folder / name).unlink(missing_ok=True)
        write_text(self.folder / CONFIG, config.to_yaml())

    @property
    def run(self) -> Path | None:
        """The folder of its run; None before it has one."""
        return run_folder(self.folder / EVENTS) or self.continued

    @property
    def is_started(self) -> bool:
        """Whether a process has begun to work on it."""
        return (self.folder / LOG).exists()

    def command(self) -> list[str]:
        """The command of its process, which continues what an earlier process of this task left."""
        how: Sequence[object] = ["--config", self.folder / CONFIG]
        if (run := self.run) and (run / STATE / TRAINING_RECORD).is_file() and not (run / MANIFEST).is_file():
            how = ["--resume", run, *(["--allow-changes"] if self.allow_changes else [])]
        program = (sys.executable, "-m", "goemo_cli", "train")
        return [*program, "--root", str(self.root), "--json", *map(str, how)]

    def variables(self) -> dict[str, str]:
        """The environment variables of its process that this one does not have."""
        group = {SEED_GROUP: dump_json(self.group.as_json())} if self.group else {}
        return {
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "TOKENIZERS_PARALLELISM": "false",
            FROZEN_FOLDER: str(self.shared.resolve()),
            EVENTS_FILE: str((self.folder / EVENTS).resolve()),
            **group,
        }

    def failure(self, code: int) -> str:
        """Why its process ended without a run: the error it printed, or the signal."""
        with contextlib.suppress(OSError):
            text = (self.folder / LOG).read_bytes()[-_LAST_BYTES:].decode("utf-8", "replace")
            errors = [
                line.removeprefix("Error: ") for line in text.splitlines() if line.startswith("Error: ")
            ]
            if errors:
                return errors[-1].strip()
        if code < 0:
            return f"ended by {signal_name(-code)}" + ("; out of memory?" if -code == KILL else "")
        return f"ended with exit code {code}"


def finished_run(folder: Path) -> str | None:
    """The run that the process of a task has finished, also if it was killed directly after that; None without one."""
    with contextlib.suppress(OSError, CorruptArtifactError, KeyError):
        return str(read_json_object(folder / RESULT)["run"])
    run = run_folder(folder / EVENTS)
    return run.name if run and (run / MANIFEST).is_file() else None


def group_of_process() -> SeedGroup | None:
    """The training with several seeds that this process trains one of; None if it does not."""
    text = environment(SEED_GROUP)
    return SeedGroup.model_validate_json(text) if text else None

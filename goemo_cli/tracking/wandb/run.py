"""The tracker that calls wandb. It runs in the upload process only, since calls of wandb may block."""

import glob
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.errors import NotFoundError
from goemo_cli.core.files import point_to, write_text
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import WandbSettings
from goemo_cli.tracking.base import Artifact, Picture, Table, Tracker
from goemo_cli.tracking.wandb.sdk import link_into, run_settings

LOG = "output.log"
"""The text that W&B shows line by line."""
INIT_SECONDS = 20
"""How long W&B may take to open a run."""
_CHARTS: dict[str, tuple[str, dict[str, str]]] = {
    "precision_recall": (
        "wandb/area-under-curve/v0",
        {"x": "recall", "y": "precision", "class": "emotion"},
    ),
    "confusion": (
        "wandb/confusion_matrix/v1",
        {"Actual": "gold", "Predicted": "predicted", "nPredictions": "comments"},
    ),
}
"""W&B's chart presets, and the column for each of their fields."""
_REFUSALS = (wandb.Error, ValueError)
"""Errors of a refused artifact. The rest of the run is uploaded, and `mirror.missing_remotely` names what is missing."""


class WandbRun(Tracker):
    """A tracker that calls wandb.

    Args:
        run_id: its id on W&B. An unknown run is created, a known one is continued after its last step.
        directory: for W&B's local files, which are kept.
        links: folder for links to the files of artifacts, since the SDK uploads their paths.
        process: the training process, whose resource use is measured.
        going_on: called after each long call, and while bytes are uploaded.
    """

    run_id: str

    def __init__(
        self,
        target: WandbSettings,
        *,
        run_id: str,
        directory: Path,
        links: Path,
        process: int,
        going_on: Callable[[], None] = lambda: None,
    ) -> None:
        self.target, self.run_id, self.directory = target, run_id, directory.resolve()
        self._links, self._process, self._going_on = links, process, going_on
        self._texts: dict[str, str] = {}
        self._run: Any = None
        self._staged: Path | None = None

    def start(self, run: RunName, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open the W&B run; neither code nor command line nor host names are uploaded."""
        self._run = wandb.init(
            project=self.target.project,
            entity=self.target.entity,
            name=self.target.name or str(run),
            group=self.target.group,
            tags=self.target.tags or None,
            notes=self.target.notes,
            mode=self.target.mode,
            id=self.run_id,
            resume="allow",
            dir=str(self.directory),
            config={**settings, **facts, "run": str(run)},
            settings=run_settings(x_stats_pid=self._process, init_timeout=INIT_SECONDS),
        )
        self._staged = Path(self._run.dir).parent / "staged"  # W&B uses another folder if it cannot write
        self._run.define_metric("epoch", hidden=True)
        for part in ("train", "val"):
            self._run.define_metric(f"{part}/*", step_metric="epoch")

    @property
    def url(self) -> str | None:
        """The run's page; None offline."""
        return self._run.url if self._run else None

    @property
    def mode(self) -> str:
        """online, offline, or disabled."""
        return str(self._run.settings.mode)

    @property
    def path(self) -> str | None:
        """entity/project/id; None offline, since the entity is unknown."""
        online = self._run is not None and self._run.url
        return f"{self._run.entity}/{self._run.project}/{self._run.id}" if online else None

    def log(self, values: Mapping[str, float], *, step: int, epoch: int | None = None) -> None:
        """Log numbers; rows that were uploaded earlier are left out."""
        self._log({**values, **({} if epoch is None else {"epoch": epoch})}, step)

    def event(self, name: str, values: Mapping[str, float]) -> None:
        """Put an event's numbers into the summary, as `name/key`."""
        self._run.summary.update({f"{name}/{key}": value for key, value in values.items()})

    def table(self, table: Table, *, step: int) -> None:
        """Log a W&B table below tables/, or a W&B chart of it below charts/."""
        shown = wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
        if table.chart not in _CHARTS:
            self._log({f"tables/{table.name}": shown}, step)
            return
        preset, fields = _CHARTS[table.chart]
        self._log(
            {f"charts/{table.name}": wandb.plot_table(preset, shown, fields, {"title": table.name})}, step
        )

    def picture(self, picture: Picture, *, step: int) -> None:
        """Log a W&B image below media/."""
        self._log({f"media/{picture.name}": wandb.Image(Image.open(BytesIO(picture.png)))}, step)

    def histograms(self, histograms: Mapping[str, Histogram], *, step: int) -> None:
        """Log W&B histograms."""
        shown = {
            name: wandb.Histogram(np_histogram=(one.counts, one.edges)) for name, one in histograms.items()
        }
        self._log(shown, step)

    def write(self, name: str, text: str) -> None:
        """Show lines of the log at once; at the end the complete text is uploaded as a file."""
        self._texts[name] = self._texts.get(name, "") + text
        if name == LOG:
            self._run.write_logs(text)

    def save(self, path: Path, *, name: str) -> None:
        """Upload a file to the Files tab under its name, by way of a link, since W&B takes names from paths."""
        _require(path)
        if self._staged is None:
            return
        link = self._staged / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        point_to(path, link)
        self._upload(link)

    def artifact(self, artifact: Artifact) -> None:
        """Upload an artifact, or name it as what the run used; offline that is left to `goemo sync`."""
        for path in artifact.files.values():
            _require(path)
        if self.mode != "online":
            return
        built = build_artifact(artifact, self.run_id, self._links)
        with suppress(*_REFUSALS):
            if artifact.is_input:
                self._run.use_artifact(built, aliases=list(artifact.aliases))
            else:
                self._run.log_artifact(built, aliases=list(artifact.aliases))
        self._going_on()

    def finish(self, summary: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Write the summary, wait until all is uploaded, and close the run."""
        self._run.summary.update(dict(summary))
        if self._staged:
            for name, text in self._texts.items():
                write_text(self._staged / name, text)
                self._upload(self._staged / name)
        _report_progress(self._going_on)
        self._run.finish(exit_code=exit_code)
        if self._staged and self.path:
            shutil.rmtree(self._staged, ignore_errors=True)

    def _upload(self, path: Path) -> None:
        self._run.save(glob.escape(str(path)), base_path=str(self._staged), policy="now")

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        if step >= self._run.starting_step:
            self._run.log(dict(values), step=step)


def build_artifact(artifact: Artifact, run_id: str, links: Path) -> Any:
    """A `wandb.Artifact` with links to the files; nothing is copied but the texts."""
    built = wandb.Artifact(artifact.named(run_id), type=artifact.type, metadata=dict(artifact.metadata))
    for name, path in artifact.files.items():
        built.add_file(str(link_into(links, path)), name=name, policy="immutable", skip_cache=True)
    for name, text in artifact.texts.items():
        with built.new_file(name, mode="w", encoding="utf-8") as stream:
            stream.write(text)
    return built


def _report_progress(going_on: Callable[[], None]) -> None:
    """Have `going_on` called while `finish` uploads: at each new file, and at new bytes of one.

    The SDK has no public way to ask. Its own progress display, which is silent here, is updated twice a second.
    """
    try:
        from wandb.sdk.lib.progress import ProgressPrinter
    except ImportError:  # another SDK: no progress is reported before the end
        return
    most: dict[str, float] = {}

    def update(printer: Any, stats: Any) -> None:
        news = False
        for name, sent in _uploads(stats):
            news |= sent > most.get(name, -1.0)
            most[name] = max(sent, most.get(name, sent))
        if news:
            going_on()

    ProgressPrinter.update = update


def _uploads(stats: Any) -> Iterator[tuple[str, float]]:
    """Name and bytes sent of every operation, such as 4_200_000 for `4.2MB/19.1MB`."""
    for group in stats if isinstance(stats, list) else [stats]:
        for operation in group.operations:
            yield operation.desc, _sent(operation.progress)
            for part in operation.subtasks:
                yield f"{operation.desc}/{part.desc}", _sent(part.progress)


def _sent(progress: str) -> float:
    found = re.match(r"([\d.]+)([KMGT]?)B", progress)
    return float(found[1]) * 1000 ** " KMGT".index(found[2] or " ") if found else 0.0


def _require(path: Path) -> None:
    if not path.is_file():
        raise NotFoundError(f"{path}: the file is gone, so it cannot be uploaded")

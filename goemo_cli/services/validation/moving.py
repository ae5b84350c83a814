"""What other processes change while a validation looks: runs by their locks and manifests, folders by their times."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.locks import holder_of


@dataclass(frozen=True)
class State:
    """A root at one moment."""

    signs: dict[Path, Any]
    """By folder: something that is another one after a change."""

    def changes(self, later: "State") -> list[Path]:
        """Folders of runs, statistics, figures and reports that came, went or changed between two moments."""
        return [
            path for path in {**self.signs, **later.signs} if self.signs.get(path) != later.signs.get(path)
        ]


def state_of(layout: Layout) -> State:
    """The state of a root now."""
    runs = [one.path for one in listed_runs(layout)]
    folders = (
        layout.stats,
        layout.threshold_sweep,
        layout.calibration,
        layout.cooccurrence,
        layout.figures,
        layout.figure_data,
        layout.report_page.parent,
    )
    return State(
        {path: (str(holder_of(path)), _time(path / MANIFEST)) for path in runs}
        | {path: _time(path) for path in folders}
    )


def is_about(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a file is in one of some folders, or belongs to a run whose folder is one of them."""
    names = [folder.name for folder in folders]
    runs = [run.file_stem for name in names if (run := RunName.parse(name))]
    return any(folder == path or folder in path.parents for folder in folders) or path.stem.endswith(
        tuple(runs)
    )


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None

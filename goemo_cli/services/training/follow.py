"""The other processes of a training on several devices: they compute, and write nothing."""

import tempfile
from pathlib import Path

from goemo_cli.core.events import ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.processes import INTERRUPT, TERMINATE, ignore_signals
from goemo_cli.ml.training.ranks import joined
from goemo_cli.services.evaluation.teacher import teach
from goemo_cli.services.training.build import prepare
from goemo_cli.services.training.fit import fit_model
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.train import read_data, score_saved, training_data


def follow(config: TrainConfig, *, layout: Layout) -> None:
    """Compute this process's part of a training that the process of rank 0 begins.

    Raises:
        ProcessLostError: another process has ended.
    """
    _follow(config, layout, None)


def follow_resumed(folder: Path, *, layout: Layout) -> None:
    """Compute this process's part of a training that the process of rank 0 resumes.

    Raises:
        NotFoundError: the run has no saved states.
        ProcessLostError: another process has ended, or continues from another state.
    """
    _follow(StateStore(folder).settings(), layout, folder)


def _follow(config: TrainConfig, layout: Layout, resumed: Path | None) -> None:
    data = training_data(config, read_data(config, layout, ignore), ignore)
    taught = teach(config, data, layout, ignore)
    prepared = prepare(config, data, ignore, taught=taught)
    if prepared.model is None:  # tfidf is fitted by one process
        return
    ignore_signals(INTERRUPT, TERMINATE)  # rank 0 finishes its step, for which it needs this process
    with tempfile.TemporaryDirectory() as folder:
        run = prepared.run(RunName.mint(prepared.entry.name), Path(folder))
        del prepared
        if resumed and (newest := StateStore(resumed).newest(ignore)):
            run.start = newest[1]
        with joined(run.ranks):
            for _ in fit_model(run, ignore):
                pass
            score_saved(run, ignore)

"""goemo distill."""

from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import DistillSettings, with_wandb
from goemo_cli.commands._streams import messages_need_no_reader
from goemo_cli.commands.train import (
    ConfigOpt,
    OverridesArg,
    SeedsOpt,
    WorkersOpt,
    require_several,
    run_training,
)

TeacherOpt = Annotated[
    str,
    typer.Option(
        "--teacher",
        help="Run whose probabilities are learned, best an ensemble: its name, its folder, @best or @latest.",
        metavar="RUN",
    ),
]


def distill(
    settings: DistillSettings,
    teacher: TeacherOpt,
    overrides: OverridesArg = None,
    config: ConfigOpt = None,
    seeds: SeedsOpt = None,
    workers: WorkersOpt = None,
    *,
    common: opt.CommonNewRoot,
) -> None:
    """Train a model on the predictions of another.

    The student learns the probabilities of the teacher, a run or an ensemble, in addition to
    the gold labels. Without --data it is trained on the data of its teacher.

    Examples:
        goemo distill --teacher @best
        goemo distill --teacher minilm-ensemble-20261130-083358 --seeds 3
        goemo distill --teacher @best --unlabelled comments.txt --weight 0.7
    """
    from goemo_cli.services.training.settings import student_settings

    out = common.console()
    messages_need_no_reader()
    require_several(seeds, workers)
    resolved = student_settings(
        teacher, config, with_wandb(settings), overrides or [], layout=common.layout, on_event=Screen(out)
    )
    run_training(out, resolved, common.layout, seeds, workers=workers)

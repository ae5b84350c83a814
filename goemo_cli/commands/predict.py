"""goemo predict."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.commands import _options as opt
from goemo_cli.commands._predict_options import Bulk, Decision, Input, Output, WandbModeOpt
from goemo_cli.commands._predict_output import Target, converse
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import PredictSettings, Settings, wandb_is_wanted
from goemo_cli.core.layout import Layout

if TYPE_CHECKING:
    from goemo_cli.services.predicting.predictor import Predictor
    from goemo_cli.services.predicting.sources import TextSource


def predict(
    texts: Input,
    output: Output,
    bulk: Bulk,
    decision: Decision,
    settings: PredictSettings,
    wandb_mode: WandbModeOpt = None,
    checkpoint: opt.CheckpointOpt = "@best",
    root: opt.RootOpt = Path(),
    quiet: opt.QuietOpt = False,
) -> None:
    """Predict the labels of any text.

    By default with the best run (@best), which is chosen on val.

    Examples:
        goemo predict "thank you so much" "what a day"
        goemo predict --input comments.csv --text-column body --output predicted.csv
        goemo predict --input 'texts/*.parquet' --output labels --workers 4
    """
    wandb = settings if wandb_mode is None else {**settings, "logging.wandb.mode": wandb_mode}
    is_logged = bool(wandb_is_wanted(wandb))
    if bulk.is_meant(texts, output):
        from goemo_cli.commands._predict_bulk import predict_many

        given: Any = {"root": root, "is_logged": is_logged, "quiet": quiet}
        return predict_many(texts, output, bulk, decision, checkpoint, **given)
    target = output.target(decision.top_k, quiet=quiet)
    texts.check(is_on_terminal=not (output.is_given or is_logged))
    from goemo_cli.services.runs.references import open_predicting

    opened = open_predicting(
        checkpoint, Layout(root), Screen(target.out)
    )  # a wrong name fails here, before torch loads
    log = _log_config(wandb) if is_logged else None

    def load() -> "Predictor":
        from goemo_cli.services.predicting.predictor import Predictor

        with Screen(target.out) as screen:
            predictor = Predictor.of_checkpoint(opened, root=root, **vars(decision), on_event=screen)
        target.out.note(f"Predicting with {opened.run} ({predictor.engine}, {predictor.precision})")
        return predictor

    if texts.interactive:
        converse(target.out, load(), decision.top_k)
        return None
    with texts.opened() as source:
        _predict(target, source, load, log, root)
    return None


def _predict(
    target: Target, source: "TextSource", load: Callable[[], "Predictor"], log: Any, root: Path
) -> None:
    """Read, predict, write, and log to W&B."""
    from goemo_cli.services.predicting.stream import Sample, require_other_file

    if target.path:
        require_other_file(source, target.path)
    if source.note:
        target.out.note(source.note)
    source = source.begun()  # a broken first row fails here, before torch loads
    predictor = load()
    sample = Sample() if log else None
    statistics = target.write(predictor, source, sample)
    if log and sample:
        from goemo_cli.services.predicting.log_to_wandb import log_predictions

        with Screen(target.out) as screen:
            log_predictions(predictor, statistics, sample, log, root=root, on_event=screen)


def _log_config(settings: Settings) -> Any:
    """Where the predictions are logged."""
    from goemo_cli.services.predicting.log_to_wandb import log_config

    return log_config(*(settings.get(f"logging.wandb.{name}") for name in ("project", "entity", "mode")))

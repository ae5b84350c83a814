"""`goemo predict --wandb`: statistics and a sample of predictions as an artifact, on W&B or in the local store."""

from pathlib import Path

from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.events import EventHandler, Info, Warning
from goemo_cli.core.settings import LibraryMode
from goemo_cli.services.predicting.prediction_log import statistics_values
from goemo_cli.services.predicting.predictor import Predictor, facts_of
from goemo_cli.services.predicting.stream import Sample
from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.manager import ArtifactManager


def log_config(project: str | None, entity: str | None, mode: LibraryMode | None) -> LoggerConfig:
    """Where predictions are logged; what is None is taken from the environment.

    Raises:
        SettingError: a mode or a project that cannot be.
    """
    return LoggerConfig(project=project, entity=entity, mode=mode)


def log_predictions(
    predictor: Predictor,
    statistics: BatchStatistics,
    sample: Sample,
    config: LoggerConfig,
    *,
    root: Path,
    on_event: EventHandler,
) -> str | None:
    """Log what was predicted, as a separate run; called after all rows are written. A logging error is a warning.

    Args:
        sample: rows that people may look at.
        config: project, entity, mode.
        root: of the project; the local store is below it.

    Returns:
        Where the log is: its address, the artifact of the sample, or the run; None if nothing could be logged.
    """
    try:
        manager = ArtifactManager(config, root=root, warn=lambda message: on_event(Warning(message)))
        run_id = manager.init_run(config=facts_of(predictor), job_type="predict")
        with manager:
            manager.log_metrics(statistics_values(statistics))
            artifact = _log_sample(manager, predictor, statistics, sample) if sample.kept else None
            found = manager.url or artifact or run_id
    except (GoemoError, OSError) as error:
        on_event(Warning(f"predictions are complete, but were not logged: {error}"))
        return None
    on_event(Info(f"Logged statistics and {len(sample.kept)} predictions: {found}"))
    return found


def _log_sample(
    manager: ArtifactManager, predictor: Predictor, statistics: BatchStatistics, sample: Sample
) -> str:
    rows = [
        {"text": text, "pred_labels": labels, "confidence": confidence}
        for text, labels, confidence in sample.kept
    ]
    about = {"run": str(predictor.run), "rows_predicted": statistics.texts}
    return manager.log_predictions(rows, f"{predictor.run}-predict", split="sample", metadata=about).reference

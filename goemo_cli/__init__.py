"""goemo: train, score and publish multi-label text classifiers. The version, and the public Python API.

    import goemo_cli

    run = goemo_cli.train("reviews.csv", model="minilm", epochs=3)
    run.scores("test")["f1_macro"]
    run.predictor().predict_frame(["I love this so much"])

Importing goemo_cli loads no other package; the first use of a name loads what it needs. Errors are `GoemoError`s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goemo_cli.api import Evaluation, compare, evaluate, resume, train, tune
    from goemo_cli.core.errors import GoemoError
    from goemo_cli.core.events import GoemoWarning
    from goemo_cli.services.predicting.predictor import Predictor
    from goemo_cli.services.runs.dataframes import (
        FinishedRun,
        list_runs,
        load_run,
        per_class_metrics,
        read_predictions,
        runs_table,
    )
    from goemo_cli.services.training.model_factory import create_model

__version__ = "1.0.0"
__all__ = [
    "Evaluation",
    "FinishedRun",
    "GoemoError",
    "GoemoWarning",
    "Predictor",
    "__version__",
    "compare",
    "create_model",
    "evaluate",
    "list_runs",
    "load_run",
    "per_class_metrics",
    "read_predictions",
    "resume",
    "runs_table",
    "train",
    "tune",
]

_MODULES = {
    "Evaluation": "api",
    "FinishedRun": "services.runs.dataframes",
    "GoemoError": "core.errors",
    "GoemoWarning": "core.events",
    "Predictor": "services.predicting.predictor",
    "compare": "api",
    "create_model": "services.training.model_factory",
    "evaluate": "api",
    "list_runs": "services.runs.dataframes",
    "load_run": "services.runs.dataframes",
    "per_class_metrics": "services.runs.dataframes",
    "read_predictions": "services.runs.dataframes",
    "resume": "api",
    "runs_table": "services.runs.dataframes",
    "train": "api",
    "tune": "api",
}


def __getattr__(name: str) -> Any:
    """The first use of a name imports its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

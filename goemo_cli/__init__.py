"""goemo: train, score and publish multi-label emotion classifiers. The version, and what programs use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goemo_cli.services.predicting.predictor import Predictor
    from goemo_cli.services.runs.dataframes import per_class_metrics, read_predictions, runs_table
    from goemo_cli.services.training.model_factory import create_model

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__", "create_model", "per_class_metrics", "read_predictions", "runs_table"]

_MODULES = {
    "Predictor": "services.predicting.predictor",
    "create_model": "services.training.model_factory",
    "per_class_metrics": "services.runs.dataframes",
    "read_predictions": "services.runs.dataframes",
    "runs_table": "services.runs.dataframes",
}


def __getattr__(name: str) -> Any:
    """Importing goemo_cli loads no other package; the first use of a name loads what it needs."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

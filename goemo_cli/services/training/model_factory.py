"""Models by name for your own programs: `create_model("minilm", labels=...)`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.hints import errors_in_python
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.layout import Layout
from goemo_cli.ml.models.devices import pick_device
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.services.data.find import load_sample
from goemo_cli.services.training.build import start_model
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.tracking.artifacts.callback import LoggerCallback
from goemo_cli.tracking.artifacts.config import LoggerConfig
from goemo_cli.tracking.artifacts.manager import LoggedArtifact


@dataclass
class CreatedModel(TransformerClassifier):
    """A transformer with a classifier for the wanted labels: `model` and `tokenizer` are those of transformers."""

    name: str = ""
    """What runs of it are called: the catalogue's name, or the last part of a Hub id or path."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """What the weights start from: kind, id, revision, sha256 and origin, as manifests record it."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings that suit it, by the names of `training.*`: goemo's, with the catalogue's for this model."""
    logger: LoggerCallback | None = None
    """Logs its training, in a run that is open already; None without tracking."""
    artifact: LoggedArtifact | None = None
    """The model as it was created, version `v0` of `{name}-model` the first time; None without tracking."""

    def save_pretrained(self, folder: Path | str) -> None:
        """Write weights, config and tokenizer into a folder, as transformers' `from_pretrained` reads them."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.save_weights(Path(folder))
        self.save_tokenizer(Path(folder))


@errors_in_python
def create_model(
    name: str = "minilm",
    *,
    labels: Sequence[str] = EMOTIONS,
    single_label: bool = False,
    device: str = "auto",
    tracking: LoggerConfig | str | None = None,
    root: Path | str = Path(),
    may_fetch: bool = True,
    on_event: EventHandler = ignore,
    **settings: Any,
) -> CreatedModel:
    """A model that is ready to be trained, in evaluation mode, in fp32, on its device.

    Labels that the weights already classify, by name, keep their rows of the classifier; others start from nothing.

    Example:
        >>> model = goemo_cli.create_model("tiny", labels=["billing", "delivery"])
        >>> model.predict_proba(["where is my parcel?"]).shape
        (1, 2)

    Args:
        name: a name of the catalogue but tfidf, a Hub id, a folder, or a run of goemo: its folder, its name, `@latest`, `@best`.
        labels: label names in output order; those of GoEmotions by default.
        single_label: whether each text has exactly one label: probabilities are a softmax over the labels.
        device: auto, cpu, cuda or mps.
        tracking: where to log the model and its training, or the name of a project. A run begins: it records the settings,
            and the model as the artifact `{name}-model`. `with model.logger as logger: logger.on_step_end(...)`
            continues the run and ends it. If W&B is unavailable, everything goes to the local store after one
            `TrackingWarning`.
        may_fetch: whether weights may be downloaded.
        **settings: those of `model.*`: max_length, dropout, attention, revision, new_head.

    Raises:
        ModelNotFoundError: no such model, with near names; or it is not here and may not be fetched.
        RunNotFoundError: no such run.
        SettingError: an unknown setting, labels that cannot be used, or a model that is not a transformer.
        CorruptArtifactError: weights that are not what they were.
    """
    if len(set(labels)) < len(labels) or not labels or isinstance(labels, str):
        raise SettingError([f"labels are {labels!r}: a list of different names is wanted"], "create_model")
    flags = {"model.name": name, **{f"model.{key}": value for key, value in settings.items()}}
    config = resolve_settings(None, flags, layout=Layout(Path(root)), on_event=on_event)
    entry = model_entry(config.model.name)
    if entry.kind == "tfidf":
        raise SettingError(
            ["tfidf has no weights before it is fitted: goemo train --model tfidf"], "create_model"
        )
    where = pick_device(device)
    texts = load_sample().train.texts if entry.kind == "tiny" else ()
    made, base = start_model(
        config.model,
        entry,
        tuple(labels),
        texts,
        device=where,
        single_label=single_label,
        on_event=on_event,
        may_fetch=may_fetch,
    )
    made.model.to(where).eval()
    created = CreatedModel(**vars(made), name=entry.name, base=base, training=config.training.model_dump())
    if tracking is not None:
        _track(created, tracking, config.model.model_dump(mode="json"), root)
    return created


def _track(
    model: CreatedModel, tracking: LoggerConfig | str, settings: Mapping[str, Any], root: Path | str
) -> None:
    """Begin the run of a model: its settings, and the model itself as an artifact."""
    model.logger = LoggerCallback(tracking, root=root)
    known = {"labels": list(model.labels), "base_model": dict(model.base)}
    model.logger.on_train_begin({"model": settings, "training": model.training, **known})
    model.artifact = model.logger.manager.save_model_artifact(
        model,
        f"{model.name}-model",
        metadata=known,
        description=f"{model.name} for {len(model.labels)} labels, before training",
    )

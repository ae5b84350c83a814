"""The models goemo knows by name: configs/models.yaml, shipped in the wheel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import ModelNotFoundError, SettingError, did_you_mean
from goemo_cli.core.layering import read_yaml_mapping
from goemo_cli.core.names import family_of, model_slug
from goemo_cli.core.schema import Kind


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a Python package carries."""

    module: str
    """Import name of the package; it is found, never imported."""
    folder: str
    sha256: str
    """Of model.safetensors, as on the Hub."""
    extra: str


@dataclass(frozen=True)
class FewTexts:
    """How a model is trained on few texts, fitted on subsets of GoEmotions: docs/recipe.md."""

    below: int
    """Training texts: with as many or more, others are used."""
    steps: int
    """The fewest optimizer steps with which a training is good."""
    epochs: int
    """The most epochs; with more, a model only becomes too sure."""
    batch_size: int
    learning_rate: float
    others: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the training section."""


@dataclass(frozen=True)
class ModelEntry:
    """One model: the place of its weights and the settings that suit it."""

    name: str
    family: str
    kind: Kind = "transformer"
    hub_id: str | None = None
    revision: str | None = None
    """Hub commit; None if it is not pinned."""
    parameters: str = ""
    """Size for people, such as 22.7M."""
    package: PackagedWeights | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings as in a config file, below the user's."""
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings between the defaults and the user's, by the name of a recipe other than `best`."""
    few_texts: tuple[FewTexts, ...] = ()
    """Fewest texts first; empty if the defaults are used for any number of texts."""

    def recipe(self, name: str) -> Mapping[str, Any]:
        """The settings of a recipe.

        Raises:
            SettingError: the model has no such recipe.
        """
        if name == "best":
            return {}
        if name not in self.recipes:
            known = ", ".join(one.name for one in catalogue().values() if name in one.recipes)
            raise SettingError(
                [f"training.recipe: {self.name} has no recipe {name}; models with it: {known}"]
            )
        return self.recipes[name]


def configs_folder() -> Path:
    """The folder configs/: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


@cache
def catalogue() -> dict[str, ModelEntry]:
    """All known models by name, in the file's order."""
    entries = read_yaml_mapping(configs_folder() / "models.yaml")
    return {name: _entry(name, dict(values)) for name, values in entries.items()}


def model_entry(name: str) -> ModelEntry:
    """The catalogue's entry of a name, or one made up for a Hub id, a local folder or the folder of a run.

    Raises:
        ModelNotFoundError: neither in the catalogue nor a folder, and no Hub id (`org/name`) either.
        SettingError: a run that has no weights to train on from.
        CorruptArtifactError: a run whose manifest is damaged.
    """
    if known := catalogue().get(name):
        return known
    if name and ((folder := Path(name).expanduser()) / MANIFEST).is_file():
        return _entry_of_run(Checkpoint.open(folder))
    is_hub_id = name.count("/") == 1 and not name.startswith((".", "/", "~", "-"))
    if not name or not (is_hub_id or Path(name).expanduser().is_dir()):
        raise ModelNotFoundError(
            name, f"is not a folder and not in the catalogue{did_you_mean(name, catalogue())}"
        )
    slug = model_slug(name)
    return ModelEntry(name=slug, family=family_of(slug), hub_id=name)


def _entry_of_run(checkpoint: Checkpoint) -> ModelEntry:
    """A run is trained on from under its model's name, with what suits that model, the length it has read, and its pooling."""
    if checkpoint.kind in ("tfidf", "ensemble"):
        raise SettingError(
            [
                f"model.name: {checkpoint.run} is of the kind {checkpoint.kind}; only transformers can be trained on"
            ]
        )
    model = checkpoint.run.model
    known = catalogue().get(model) or ModelEntry(name=model, family=family_of(model))
    was = checkpoint.config.model
    own = {"max_length": was.max_length, "pooling": was.pooling}
    defaults = {**known.defaults, "model": {**known.defaults.get("model", {}), **own}}
    kind: Kind = "static" if checkpoint.kind == "static" else "transformer"
    return ModelEntry(
        model, known.family, kind, hub_id=str(checkpoint.path), defaults=defaults, recipes=known.recipes
    )


def _entry(name: str, values: dict[str, Any]) -> ModelEntry:
    package, few = values.pop("package", None), values.pop("few_texts", [])
    return ModelEntry(
        name=name,
        package=PackagedWeights(**package) if package else None,
        few_texts=tuple(FewTexts(**values) for values in few),
        **values,
    )

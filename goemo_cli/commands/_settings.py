"""Options made from settings: type, bounds, choices, default and help text are those in core/settings."""

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from goemo_cli.core.settings import setting_faults, setting_field

Settings = Mapping[str, Any]
"""Values of the options that were given, by the dotted name of their setting."""
Panels = Mapping[str, Mapping[str, str]]
"""Settings that a command has as options: by panel of the help page, flags with the dotted names of their settings."""

_WANDB = {
    "--wandb/--no-wandb": "logging.wandb.enabled",
    "--wandb-project": "logging.wandb.project",
    "--wandb-entity": "logging.wandb.entity",
}
_TRACKERS = {"--tracker": "logging.trackers"}
_TRAIN: Panels = {
    "Data": {
        "--data": "data.name",
        "--data-dir": "data.dir",
        "--data-format": "data.format",
        "--encoding": "data.encoding",
        "--text-column": "data.text_column",
        "--label-column": "data.label_column",
        "--label-columns": "data.label_columns",
        "--label-separator": "data.label_separator",
        "--labels-file": "data.labels_file",
        "--unlabelled": "data.unlabelled",
        "--id-column": "data.id_column",
        "--group-column": "data.group_column",
        "--aggregate": "data.aggregate",
        "--single-label/--multi-label": "data.single_label",
        "--taxonomy": "data.taxonomy",
        "--exclude-audited": "data.exclude_audited",
        "--max-train-samples": "data.max_train_samples",
    },
    "Model and training": {
        "--model": "model.name",
        "--recipe": "training.recipe",
        "--epochs": "training.epochs",
        "--lr": "training.learning_rate",
        "--batch-size": "training.batch_size",
        "--max-length": "model.max_length",
        "--loss": "training.loss",
        "--dropout": "model.dropout",
        "--weight-decay": "training.weight_decay",
        "--warmup": "training.warmup",
        "--seed": "training.seed",
    },
    "Trackers": _TRACKERS,
    "Weights & Biases": {
        **_WANDB,
        "--wandb-mode": "logging.wandb.mode",
        "--wandb-group": "logging.wandb.group",
        "--wandb-base-url": "logging.wandb.base_url",
        "--wandb-required": "logging.wandb.required",
        "--run-name": "logging.wandb.name",
        "--tags": "logging.wandb.tags",
        "--notes": "logging.wandb.notes",
    },
}
_DISTILL: Panels = {
    "Teacher and student": {
        "--student": "model.name",
        "--unlabelled": "distillation.unlabelled",
        "--weight": "distillation.weight",
        "--temperature": "distillation.temperature",
    },
    "Data": {flag: _TRAIN["Data"][flag] for flag in ("--data", "--data-dir", "--max-train-samples")},
    "Training": {
        flag: _TRAIN["Model and training"][flag]
        for flag in ("--recipe", "--epochs", "--lr", "--batch-size", "--dropout", "--seed")
    },
    "Trackers": _TRACKERS,
    "Weights & Biases": _WANDB,
}
_OF_TRAINING = (
    "data.name",
    "data.single_label",
    "data.taxonomy",
    "data.exclude_audited",
    "data.max_train_samples",
)
"""Settings of data that are not about reading it."""
_NEW_DATA: Panels = {
    "Data": {flag: name for flag, name in _TRAIN["Data"].items() if name not in _OF_TRAINING}
}
_AUDIT: Panels = {
    "Data": {
        flag: name
        for flag, name in _TRAIN["Data"].items()
        if name not in ("data.exclude_audited", "data.max_train_samples")
    }
}
_STATS: Panels = {
    **_AUDIT,
    "Model": {flag: _TRAIN["Model and training"][flag] for flag in ("--model", "--max-length")},
}
_IMPORT: Panels = {
    **_NEW_DATA,
    "Model": {
        "--single-label/--multi-label": "data.single_label",
        "--max-length": "model.max_length",
        "--revision": "model.revision",
    },
}
_TUNE: Panels = {
    "Options": {
        "--rule": "thresholds.rule",
        "--shrinkage": "thresholds.shrinkage",
        "--never-empty/--may-be-empty": "thresholds.never_empty",
        "--top-k": "thresholds.top_k",
    }
}

_SHORT_CHOICES = 20
"""Characters of choices that are shown next to the flag; longer lists are shown after the help text."""
_HUGE = 1_000_000
"""A bound that only computers reach is not shown."""
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_METAVARS = {int: "N", float: "X", Path: "PATH"}


def setting_option(
    flag: str, name: str, *, help: str = "", panel: str | None = None, default: str | None = None
) -> Any:
    """The Typer option of a setting.

    Args:
        flag: `--epochs`, or `--wandb/--no-wandb`.
        help: instead of the setting's description.
        default: shown as the default; the option itself is unset unless it is given.
    """
    field = setting_field(name)
    kind = _required(field.annotation)
    metavar, choices = choice_words(flag, kind)
    extra = [choices, _bounds(field.metadata), default and f"default: {default}"]
    text, words = help or field.description or "", "; ".join(part for part in extra if part)
    if get_origin(kind) is list:
        metavar, text = "NAME,NAME", f"{text.rstrip('.')}; separated by commas."
    return typer.Option(
        flag,
        help=f"{text} [{words}]" if words else text,
        metavar=metavar or _METAVARS.get(kind, "TEXT"),
        show_default=False,
        rich_help_panel=panel,
        callback=_check(name),
    )


def choice_words(flag: str, kind: Any) -> tuple[str | None, str | None]:
    """How the choices of a `Literal` are shown: (next to the flag, after the help text).

    A long list is shown after the text, and the flag has its last word. (None, None) for other types.
    """
    if get_origin(kind) is not Literal:
        return None, None
    words = "|".join(get_args(kind))
    if len(words) <= _SHORT_CHOICES:
        return words, None
    return flag.rpartition("-")[2].upper(), ", ".join(get_args(kind))


class SettingsGroup:
    """The options of some settings. Their value is the settings that were given.

    Args:
        panels: the settings, by panel of the help page.
        defaults: show the defaults of the settings.
    """

    def __init__(self, panels: Panels, *, defaults: bool = False) -> None:
        self._defaults = defaults
        self._named = {
            _identifier(flag): (flag, name, panel)
            for panel, names in panels.items()
            for flag, name in names.items()
        }

    @functools.cached_property
    def options(self) -> dict[str, inspect.Parameter]:
        """The options, by parameter."""
        return {key: _parameter(*named, defaults=self._defaults) for key, named in self._named.items()}

    def value(self, given: Mapping[str, Any]) -> Settings:
        """The settings of the values that Typer read."""
        values = {self._named[key][1]: value for key, value in given.items() if value is not None}
        return {name: _value(name, value) for name, value in values.items()}


def with_wandb(settings: Settings) -> Settings:
    """The settings of a training: any option of W&B turns it on or off."""
    wanted = wandb_is_wanted(settings)
    return settings if wanted is None else {**settings, "logging.wandb.enabled": wanted}


def wandb_is_wanted(settings: Settings) -> bool | None:
    """Whether W&B is on: any of its options turns it on, `--no-wandb` off; None if none was given."""
    given = {name: value for name, value in settings.items() if name.startswith("logging.wandb.")}
    return bool(given.get("logging.wandb.enabled", True)) if given else None


def _parameter(flag: str, name: str, panel: str, *, defaults: bool) -> inspect.Parameter:
    kind = _required(setting_field(name).annotation)
    default = _default(name) if defaults else None
    option = setting_option(flag, name, help=_help(name), panel=panel, default=default)
    typed = str if get_origin(kind) is list else kind
    return inspect.Parameter(
        _identifier(flag), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[typed | None, option]
    )  # fmt: skip


def _help(name: str) -> str:
    """The help text of a setting whose choices are registered elsewhere; else nothing."""
    if name != "data.format":
        return ""
    from goemo_cli.services.data.readers import format_names

    return f"{setting_field(name).description} [{', '.join(format_names('training'))}]"


def _default(name: str) -> str | None:
    from goemo_cli.core.catalogue import catalogue
    from goemo_cli.core.layering import flat

    if any(name in flat(entry.defaults) for entry in catalogue().values()):
        return "by model"
    value = setting_field(name).default
    return None if value is None or value is False or value == [] else str(value)


def _identifier(flag: str) -> str:
    return flag.partition("/")[0].lstrip("-").replace("-", "_")


def _value(name: str, value: Any) -> Any:
    """A value as its setting has it: names joined by commas become a list."""
    is_list = get_origin(_required(setting_field(name).annotation)) is list
    if not is_list:
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _check(name: str) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        faults = [] if value is None else setting_faults(name, _value(name, value))
        if faults:
            raise typer.BadParameter("; ".join(faults))
        return value

    return checked


def _required(kind: Any) -> Any:
    """The type without None."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is not Literal:
        inner = [one for one in get_args(kind) if one is not type(None)]
        if type(None) in get_args(kind) and len(inner) == 1:
            return inner[0]
    return kind


def _bounds(metadata: list[Any]) -> str | None:
    """Bounds of pydantic as `x>0`, `0<=x<1`; None if there are none."""
    bound = {key: getattr(one, key) for one in metadata for key in _SIGNS if hasattr(one, key)}
    low = [f"{_SIGNS[key]}{bound[key]}" for key in ("ge", "gt") if key in bound]
    high = [f"{_SIGNS[key]}{bound[key]}" for key in ("le", "lt") if key in bound and bound[key] < _HUGE]
    if low and high:
        key = "ge" if "ge" in bound else "gt"
        return f"{bound[key]}{'<=' if key == 'ge' else '<'}x{high[0]}"
    return f"x{(low or high)[0]}" if low or high else None


TrainSettings = Annotated[Settings, SettingsGroup(_TRAIN, defaults=True)]
DistillSettings = Annotated[Settings, SettingsGroup(_DISTILL, defaults=True)]
ImportSettings = Annotated[Settings, SettingsGroup(_IMPORT)]
NewDataSettings = Annotated[Settings, SettingsGroup(_NEW_DATA)]
StatsSettings = Annotated[Settings, SettingsGroup(_STATS)]
AuditSettings = Annotated[Settings, SettingsGroup(_AUDIT)]
TuneSettings = Annotated[Settings, SettingsGroup(_TUNE)]
PredictSettings = Annotated[Settings, SettingsGroup({"Weights & Biases": _WANDB})]

"""Settings from everywhere in their order: defaults < environment (W&B) < catalogue < file < flags and overrides."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goemo_cli.core.catalogue import FewTexts, model_entry
from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.layering import dotted_overrides, nested, read_yaml_mapping
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import (
    TrainConfig,
    TrainingSettings,
    named_settings,
    setting_names,
    setting_value,
    text_settings,
)
from goemo_cli.core.settings.effects import effects_missing, without_effect
from goemo_cli.services.runs.references import open_run
from goemo_cli.tracking.registered import check_trackers

_HERE = Layout()


def resolve_settings(
    file: Path | None,
    flags: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    given: Mapping[str, Any] = MappingProxyType({}),
    layout: Layout = _HERE,
    on_event: EventHandler = ignore,
) -> TrainConfig:
    """The settings of a run.

    The model and the recipe are settled first: their settings in the catalogue are below those of the file. The defaults of
    the catalogue do not count as set: `model_fields_set` of the training section has what the user or a recipe names.

    Args:
        file: YAML file, or None.
        flags: dotted names with their values.
        overrides: `section.key=value` as typed.
        given: nested settings of a program, which errors call `settings`.
        layout: whose runs `model.name` and `distillation.teacher` may refer to; `@best` becomes the run's folder or name.
        on_event: is told which run a reference is, and, in one warning, which given settings have no effect.

    Raises:
        SettingError: unknown settings or bad values; the message names flag or file.
        NotFoundError: no such file.
    """
    config, doubt = _resolved(file, flags, overrides, given, layout, on_event)
    if doubt:
        on_event(Warning(doubt))
    return config


def _resolved(
    file: Path | None,
    flags: Mapping[str, Any],
    overrides: Sequence[str],
    given: Mapping[str, Any],
    layout: Layout,
    on_event: EventHandler,
) -> tuple[TrainConfig, str]:
    """The settings of a run, and a sentence about those that were given and have no effect; empty without any."""
    if file is not None and not file.is_file():
        raise NotFoundError(f"{file}: no such config file")
    layers: list[tuple[str | Path, Mapping[str, Any]]] = [(file, read_yaml_mapping(file))] if file else []
    layers += [("command line", nested(name, value)) for name, value in flags.items()]
    typed = dotted_overrides(overrides, text_settings())
    if both := sorted(name for name in flags if _has(typed, name)):
        raise SettingError([f"{both[0]} is given twice, as a flag and as an override"])
    if typed:
        layers.append(("command line", typed))
    if given:
        layers.append(("settings", given))
    chosen = TrainConfig.from_layers(*layers)
    name = model_folder(chosen.model.name, layout, on_event)
    if name != chosen.model.name:
        layers.append(("--model", nested("model.name", name)))
    if (teacher := chosen.distillation.teacher) and teacher.startswith("@"):
        named = str(open_run(teacher, layout, on_event).run)
        layers.append(("--teacher", nested("distillation.teacher", named)))
    entry = model_entry(name)
    suited = [
        ("configs/models.yaml", settings)
        for settings in (entry.defaults, entry.recipe(chosen.training.recipe))
    ]
    config = TrainConfig.from_layers(*suited, *layers)
    check_trackers(config.logging.trackers)
    doubt = effects_missing(
        without_effect(config, entry.kind), _changed_by_user(config, TrainConfig.from_layers(*suited), layers)
    )
    by_user = TrainConfig.from_layers(*suited[1:], *layers).training.model_fields_set
    training = TrainingSettings.model_construct(set(by_user), **dict(config.training))
    config = config.model_copy(update={"training": training})
    if not config.logging.wandb.enabled:  # `goemo sync` reads the environment when it runs
        return config, doubt
    return config.changed("logging", wandb=config.logging.wandb.resolved()), doubt


def _changed_by_user(
    config: TrainConfig, default: TrainConfig, layers: Sequence[tuple[str | Path, Mapping[str, Any]]]
) -> list[str]:
    """The settings that a user has given a value other than the default of the model.

    A file with all sections was written by goemo, as a run's train_config.yaml: its settings were chosen by goemo.
    """
    own = [values for _, values in layers if not TrainConfig.model_fields.keys() <= values.keys()]
    named = {name for values in own for name in named_settings(values)}
    return [
        name
        for name in setting_names()
        if name in named and setting_value(config, name) != setting_value(default, name)
    ]


def for_few_texts(config: TrainConfig, n_texts: int, on_event: EventHandler = ignore) -> TrainConfig:
    """The settings of a training on a number of texts: others than the defaults of the catalogue if these suit more texts.

    The model's `few_texts` has them. There are as many epochs as its optimizer steps need, within limits, and no early
    stopping: at the fixed threshold, the first epochs on few texts have a macro-F1 of 0. Nothing changes if the user or a
    recipe names the epochs or the learning rate; all other settings that are named stay.

    Args:
        config: what `resolve_settings` returned, or the settings of a run, which names all.
        n_texts: number of texts in an epoch.
        on_event: is told what changes.
    """
    training = config.training
    few = next((few for few in _few_texts(config) if n_texts < few.below), None)
    if few is None:
        return config
    named = training.model_fields_set
    others = {name: value for name, value in few.others.items() if name not in named}
    changed: dict[str, Any] = dict(others)
    if not {"batch_size", "accumulation"} & named:
        changed |= {"batch_size": few.batch_size, "learning_rate": few.learning_rate}
    batch_size = changed.get("batch_size", training.batch_size)
    needed = math.ceil(few.steps / math.ceil(n_texts / batch_size))
    changed["epochs"] = max(training.epochs, min(needed, few.epochs))
    stopping = ""
    if "patience" not in training.early_stopping.model_fields_set:
        stopping = " and no early stopping"
        changed["early_stopping"] = training.early_stopping.model_copy(update={"patience": None})
    changed_config = config.changed("training", **changed)
    new = changed_config.training
    further = "".join(
        f", {name} {value!r}" for name, value in others.items() if value != getattr(training, name)
    )
    on_event(
        Info(
            f"Few training texts ({n_texts:,}): {new.epochs} epochs at the learning rate {new.learning_rate:g}, batches of "
            f"{new.batch_size}{further}{stopping}; --epochs or --lr turns this off"
        )
    )
    if doubt := _effects_lost(config, changed_config, [f"training.{name}" for name in named]):
        on_event(Warning(doubt))
    return changed_config


def _effects_lost(before: TrainConfig, after: TrainConfig, names: Collection[str]) -> str:
    """A sentence about settings of some names that had an effect before, and have none after; empty without any."""
    kind, default = model_entry(before.model.name).kind, TrainConfig()
    had_none = without_effect(before, kind)
    lost = [
        name
        for name in setting_names()
        if name in names
        and name not in had_none
        and setting_value(before, name) != setting_value(default, name)
    ]
    return effects_missing(without_effect(after, kind), lost)


def enough_texts(config: TrainConfig) -> int | None:
    """The number of training texts from which `for_few_texts` changes nothing; None if it never changes these settings."""
    return max((few.below for few in _few_texts(config)), default=None)


def _few_texts(config: TrainConfig) -> tuple[FewTexts, ...]:
    """How the model is trained on few texts; none if that is not known, or if settings that it changes are named."""
    if {"epochs", "learning_rate"} & config.training.model_fields_set:
        return ()
    return model_entry(config.model.name).few_texts


def student_settings(
    teacher: str,
    file: Path | None,
    flags: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    layout: Layout = _HERE,
    on_event: EventHandler = ignore,
) -> TrainConfig:
    """The settings of a student: as `resolve_settings`, with the data of its teacher unless other data is named.

    If the model has a recipe for students, it is the default.

    Raises:
        SettingError, NotFoundError: as `resolve_settings`; no such teacher.
    """
    checkpoint = open_run(teacher, layout, on_event)
    flags = {"distillation.teacher": str(checkpoint.run), **flags}
    own, _ = _resolved(file, flags, overrides, {}, layout, on_event)
    has_no_recipe = "recipe" not in own.training.model_fields_set
    if has_no_recipe and "student" in model_entry(own.model.name).recipes:
        flags = {"training.recipe": "student", **flags}
    if own.data.name is None:
        changed = own.data.model_dump(exclude_defaults=True)
        of_teacher = checkpoint.config.data.model_dump(exclude_defaults=True)
        flags = {f"data.{name}": value for name, value in of_teacher.items() if name not in changed} | flags
    config, doubt = _resolved(file, flags, overrides, {}, layout, ignore)
    if doubt:
        on_event(Warning(doubt))
    return config


def model_folder(name: str, layout: Layout, on_event: EventHandler = ignore) -> str:
    """A model's name as it is, but for a reference to a run (`@latest`, a run's name), which becomes its folder.

    Raises:
        NotFoundError: no such run, or an unfinished one.
    """
    is_reference = name.startswith("@") or (RunName.parse(name) is not None and not Path(name).is_dir())
    return str(open_run(name, layout, on_event).path) if is_reference else name


def _has(values: Mapping[str, Any], dotted: str) -> bool:
    section, _, key = dotted.partition(".")
    inner = values.get(section)
    return isinstance(inner, Mapping) and (_has(inner, key) if "." in key else key in inner)

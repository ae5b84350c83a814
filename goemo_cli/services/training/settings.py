"""Settings from everywhere in their order: defaults < environment (W&B) < catalogue < file < flags and overrides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.layering import dotted_overrides, nested, read_yaml_mapping
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
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

    The model and the recipe are settled first: their settings in the catalogue are below those of the file.

    Args:
        file: YAML file, or None.
        flags: dotted names with their values.
        overrides: `section.key=value` as typed.
        given: nested settings of a program, which errors call `settings`.
        layout: whose runs `model.name` and `distillation.teacher` may refer to; `@best` becomes the run's folder or name.
        on_event: called with each event.

    Raises:
        SettingError: unknown settings or bad values; the message names flag or file.
        NotFoundError: no such file.
    """
    if file is not None and not file.is_file():
        raise NotFoundError(f"{file}: no such config file")
    layers: list[tuple[str | Path, Mapping[str, Any]]] = [(file, read_yaml_mapping(file))] if file else []
    layers += [("command line", nested(name, value)) for name, value in flags.items()]
    typed = dotted_overrides(overrides)
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
    if not config.logging.wandb.enabled:  # `goemo sync` reads the environment when it runs
        return config
    wandb = config.logging.wandb.resolved()
    return config.model_copy(update={"logging": config.logging.model_copy(update={"wandb": wandb})})


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
    own = resolve_settings(file, flags, overrides, layout=layout, on_event=on_event)
    has_no_recipe = "recipe" not in own.training.model_fields_set
    if has_no_recipe and "student" in model_entry(own.model.name).recipes:
        flags = {"training.recipe": "student", **flags}
        own = resolve_settings(file, flags, overrides, layout=layout)
    if own.data.name is not None:
        return own
    changed = own.data.model_dump(exclude_defaults=True)
    of_teacher = checkpoint.config.data.model_dump(exclude_defaults=True)
    flags = {f"data.{name}": value for name, value in of_teacher.items() if name not in changed} | flags
    return resolve_settings(file, flags, overrides, layout=layout)


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

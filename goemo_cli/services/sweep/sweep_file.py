"""A sweep file: W&B's sweep syntax, read and checked whole before anything runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, model_validator

from goemo_cli.core.errors import NotFoundError, SettingError, UnknownSettingError, did_you_mean
from goemo_cli.core.layering import nested, read_yaml_mapping
from goemo_cli.core.names import model_slug
from goemo_cli.core.settings import TrainConfig, setting_names
from goemo_cli.services.sweep.entries import Entry, Number, problems_in
from goemo_cli.services.sweep.search_space import Parameter, parse_parameters

Method = Literal["bayes", "random", "grid", "custom"]
Goal = Literal["minimize", "maximize"]

_IGNORED = ("program", "command", "controller", "scheduler", "apiVersion", "kind", "job", "image_uri")
_OF_WANDB = ("project", "entity")
_NO_PART_OF_THE_SEARCH = ("name", "description", "run_cap", *_OF_WANDB, *_IGNORED)


def _from_one(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 1 or value % 1:
        raise ValueError(f"is a whole number from 1, not {value!r}")
    return int(value)


Whole = Annotated[int, PlainValidator(_from_one)]


class Metric(Entry):
    """What is searched for."""

    name: str
    goal: Goal = "minimize"
    target: Number | None = None
    """The sweep ends when a trial reaches it."""
    impute: Any = None
    """Tells W&B's search what a failed run counts as; here it does not count."""
    impute_while_running: Any = None


class EarlyTerminate(Entry):
    """W&B's hyperband: at some epochs, the bands, a trial that is not among the best 1/eta so far is ended."""

    type: Literal["hyperband"]
    eta: Annotated[Number, Field(gt=1)] = 3
    min_iter: Whole | None = None
    max_iter: Whole | None = None
    s: Whole | None = None
    strict: bool = False
    """Compare the value at the band; else the best one up to it."""

    @model_validator(mode="after")
    def _has_bands(self) -> Self:
        if self.min_iter is None and (self.max_iter is None or self.s is None):
            raise ValueError("needs min_iter, or max_iter and s")
        return self

    def bands(self, epochs: int) -> list[int]:
        """The epochs after which a trial is looked at, counted from 1, at most `epochs`."""
        if self.max_iter and self.s:  # these two win over min_iter, as on W&B
            bands = {int(self.max_iter / self.eta**step) for step in range(1, self.s + 1)}
            return sorted(band for band in bands if 1 <= band <= epochs)
        found, band = set(), float(self.min_iter or 1)
        while int(band) <= epochs:
            found.add(int(band))
            band *= self.eta
        return sorted(found)


class _Content(Entry):
    """The keys of a sweep file; parameters are checked by themselves."""

    method: Method
    metric: Metric | None = None
    metrics: Annotated[list[Metric], Field(min_length=2)] | None = None
    """Several objectives."""
    early_terminate: EarlyTerminate | None = None
    combined_score: Annotated[dict[str, Number], Field(min_length=1)] | None = None
    run_cap: Whole | None = None
    parameters: Any = None
    name: Any = None
    description: Any = None
    project: Any = None
    entity: Any = None
    program: Any = None
    command: Any = None
    controller: Any = None
    scheduler: Any = None
    apiVersion: Any = None  # noqa: N815  # W&B's spelling
    kind: Any = None
    job: Any = None
    image_uri: Any = None

    @property
    def objectives(self) -> tuple[Metric, ...]:
        """One or several."""
        return (self.metric,) if self.metric else tuple(self.metrics or ())


@dataclass(frozen=True)
class SweepFile:
    """A sweep as its file describes it."""

    source: str
    name: str
    method: Method
    metrics: tuple[Metric, ...]
    """One, or several objectives."""
    weights: Mapping[str, float]
    """combined_score: how much each objective counts in it; empty without."""
    parameters: tuple[Parameter, ...]
    early_terminate: EarlyTerminate | None
    run_cap: int | None
    ignored: tuple[str, ...]
    """Keys that mean something on W&B only."""
    content: Mapping[str, Any]
    """The file as it was read."""

    @property
    def wandb(self) -> dict[str, str]:
        """The settings that put runs into the sweep's W&B project and entity, as far as the file names them."""
        return {
            f"logging.wandb.{key}": str(self.content[key])
            for key in _OF_WANDB
            if self.content.get(key) is not None
        }

    @property
    def doubts(self) -> list[str]:
        """What is probably meant in another way."""
        return [text for one in self.parameters if (text := one.doubt())]

    @property
    def grid_size(self) -> int:
        """How many trials a grid has."""
        return math.prod(len(one.grid() or ()) for one in self.parameters)

    def differences(self, content: Mapping[str, Any]) -> list[str]:
        """The deciding keys in which another file is not this one."""
        keys = {*self.content, *content} - set(_NO_PART_OF_THE_SEARCH)
        return sorted(key for key in keys if self.content.get(key) != content.get(key))


def read_sweep_file(path: Path, *, name: str | None = None) -> SweepFile:
    """The sweep that a YAML file describes.

    Args:
        name: of the sweep, instead of the file's `name` or its own file name.

    Raises:
        NotFoundError: no such file.
        SettingError: what is wrong with it, all at once; UnknownSettingError for parameters that are not settings.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such sweep file")
    return parse_sweep(read_yaml_mapping(path), source=str(path), name=name or None, fallback=path.stem)


def parse_sweep(
    content: Mapping[str, Any], *, source: str = "sweep", name: str | None = None, fallback: str = "sweep"
) -> SweepFile:
    """As `read_sweep_file`, of a mapping."""
    problems: list[str] = []
    if (content.get("metric") is None) == (content.get("metrics") is None):
        problems.append("give either metric (one objective) or metrics (a list of several)")
    read = _read(content, problems)
    found = len(problems)
    parameters = tuple(parse_parameters(content.get("parameters"), problems))
    if len(problems) == found and all(one.is_constant for one in parameters):
        problems.append("parameters: every one has a single value, so there is nothing to search")
    _check_grid(content.get("method"), parameters, problems)
    if problems or not read:
        raise SettingError(problems, source)
    _check_settings(parameters, source)
    return SweepFile(
        source=source,
        name=model_slug(str(name or read.name or fallback)),
        method=read.method,
        metrics=read.objectives,
        weights=read.combined_score or {},
        parameters=parameters,
        early_terminate=read.early_terminate,
        run_cap=read.run_cap,
        ignored=tuple(key for key in content if key in _IGNORED),
        content=dict(content),
    )


def _read(content: Mapping[str, Any], problems: list[str]) -> _Content | None:
    """The keys of the file; None, and a sentence for every fault, if there is one."""
    unknown = [key for key in content if key not in _Content.model_fields]
    problems += [f"unknown key {key!r}{did_you_mean(str(key), _Content.model_fields)}" for key in unknown]
    try:
        return _Content.model_validate({key: value for key, value in content.items() if key not in unknown})
    except ValidationError as error:
        problems += problems_in(error)
    return None


def _check_grid(method: Any, parameters: tuple[Parameter, ...], problems: list[str]) -> None:
    if method == "grid":
        endless = [one.name for one in parameters if one.grid() is None]
        if endless:
            problems.append(
                f"a grid needs `values` or whole numbers for every parameter; not so {', '.join(endless)}"
            )


def _check_settings(parameters: tuple[Parameter, ...], source: str) -> None:
    """Every parameter is a setting, and every value that is named or at an end fits it; all problems at once.

    How settings fit together is seen when a trial's own are put together.
    """
    names = [one.name for one in parameters]
    problems = [f"{name} occurs twice" for name in {name for name in names if names.count(name) > 1}]
    unknown: list[str] = []
    for one in parameters:
        for value in one.probes() or (None,):
            try:
                TrainConfig.from_layers((source, nested(one.name, value)))
            except UnknownSettingError as error:
                unknown += error.problems
                break
            except SettingError as error:
                if one.probes():
                    problems += [text for text in error.problems if _is_of_one_setting(text)]
    if unknown:
        raise UnknownSettingError([*unknown, *problems], source)
    if problems:
        raise SettingError(problems, source)


def _is_of_one_setting(problem: str) -> bool:
    """Whether a problem begins with the name of a setting: problems of combinations of settings name a section or nothing."""
    place = problem.partition(": ")[0]
    return any(place == name or place.startswith(f"{name}.") for name in setting_names())

"""A sweep file: W&B's sweep syntax, read and checked whole before anything runs."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from goemo_cli.core.errors import NotFoundError, SettingError, UnknownSettingError, did_you_mean
from goemo_cli.core.layering import nested, read_yaml_mapping
from goemo_cli.core.names import model_slug
from goemo_cli.core.schema import COMBINED
from goemo_cli.core.settings import TrainConfig, setting_names
from goemo_cli.services.sweep.search_space import Parameter, is_number, parse_parameters

Method = Literal["bayes", "random", "grid", "custom"]
Goal = Literal["minimize", "maximize"]
METHODS = ("bayes", "random", "grid", "custom")

_IGNORED = ("program", "command", "controller", "scheduler", "apiVersion", "kind", "job", "image_uri")
_OF_WANDB = ("project", "entity")
_USED = (
    "name",
    "description",
    "method",
    "metric",
    "metrics",
    "parameters",
    "early_terminate",
    "run_cap",
    COMBINED,
    *_OF_WANDB,
)
_NO_PART_OF_THE_SEARCH = ("name", "description", "run_cap", *_OF_WANDB, *_IGNORED)


@dataclass(frozen=True)
class Metric:
    """What is searched for."""

    name: str
    goal: Goal
    target: float | None = None
    """The sweep ends when a trial reaches it."""


@dataclass(frozen=True)
class EarlyTerminate:
    """W&B's hyperband: at some epochs, the bands, a trial that is not among the best 1/eta so far is ended."""

    eta: float
    min_iter: int | None
    max_iter: int | None
    s: int | None
    strict: bool
    """Compare the value at the band; else the best one up to it."""

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

    @property
    def sha256(self) -> str:
        """Of all that decides what is searched and how; not of the name, comments and what is ignored."""
        deciding = {key: value for key, value in self.content.items() if key not in _NO_PART_OF_THE_SEARCH}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()

    def differences(self, content: Mapping[str, Any]) -> list[str]:
        """The deciding keys in which another file is not this one."""
        keys = {*self.content, *content} - set(_NO_PART_OF_THE_SEARCH)
        return sorted(key for key in keys if self.content.get(key) != content.get(key))


def read_sweep_file(path: Path, *, name: str | None = None) -> SweepFile:
    """The sweep that a YAML file describes.

    Args:
        path: the file.
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
    problems = [
        f"unknown key {key!r}{did_you_mean(key, (*_USED, *_IGNORED))}"
        for key in content
        if key not in (*_USED, *_IGNORED)
    ]
    method = content.get("method")
    if method not in METHODS:
        problems.append(f"method is one of {', '.join(METHODS)}, not {method!r}")
    metrics = _metrics(content, problems)
    found = len(problems)
    parameters = tuple(parse_parameters(content.get("parameters"), problems))
    if len(problems) == found and all(one.is_constant for one in parameters):
        problems.append("parameters: every one has a single value, so there is nothing to search")
    early = _early_terminate(content.get("early_terminate"), problems)
    weights = _weights(content.get(COMBINED), problems)
    run_cap = _whole(content.get("run_cap"), "run_cap", problems)
    _check_grid(method, parameters, problems)
    if problems:
        raise SettingError(problems, source)
    _check_settings(parameters, source)
    return SweepFile(
        source=source,
        name=model_slug(str(name or content.get("name") or fallback)),
        method=cast(Method, method),
        metrics=metrics,
        weights=weights,
        parameters=parameters,
        early_terminate=early,
        run_cap=run_cap,
        ignored=tuple(key for key in content if key in _IGNORED),
        content=dict(content),
    )


def _metrics(content: Mapping[str, Any], problems: list[str]) -> tuple[Metric, ...]:
    if ("metric" in content) == ("metrics" in content):
        problems.append("give either metric (one objective) or metrics (a list of several)")
        return ()
    entries = content.get("metrics", [content.get("metric")])
    if not isinstance(entries, list) or ("metrics" in content and len(entries) < 2):
        problems.append("metrics: a list of at least two is wanted; one objective is a metric")
        return ()
    return tuple(found for entry in entries if (found := _metric(entry, problems)))


def _metric(entry: Any, problems: list[str]) -> Metric | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        problems.append("metric: a name and a goal are wanted")
        return None
    goal, target = entry.get("goal", "minimize"), entry.get("target")
    # `impute` and `impute_while_running` tell W&B's own search what failed runs count as; here they do not count.
    if strange := set(entry) - {"name", "goal", "target", "impute", "impute_while_running"}:
        problems.append(f"metric has no key {', '.join(sorted(map(str, strange)))}")
    if goal not in ("minimize", "maximize"):
        problems.append(f"metric.goal is minimize or maximize, not {goal!r}")
        return None
    if target is not None and not is_number(target):
        problems.append(f"metric.target is not a number: {target!r}")
        return None
    return Metric(entry["name"], goal, None if target is None else float(target))


def _early_terminate(entry: Any, problems: list[str]) -> EarlyTerminate | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or entry.get("type") != "hyperband":
        problems.append("early_terminate: the only type is hyperband")
        return None
    if strange := set(entry) - {"type", "min_iter", "max_iter", "s", "eta", "strict"}:
        problems.append(f"early_terminate has no key {', '.join(sorted(map(str, strange)))}")
    eta, strict = entry.get("eta", 3), entry.get("strict", False)
    if not is_number(eta) or eta <= 1:
        problems.append(f"early_terminate.eta is a number above 1, not {eta!r}")
        return None
    if not isinstance(strict, bool):
        problems.append(f"early_terminate.strict is true or false, not {strict!r}")
    least, most, steps = (
        _whole(entry.get(key), f"early_terminate.{key}", problems) for key in ("min_iter", "max_iter", "s")
    )
    if least is None and (most is None or steps is None):
        problems.append("early_terminate needs min_iter, or max_iter and s")
        return None
    return EarlyTerminate(float(eta), least, most, steps, bool(strict))


def _weights(entry: Any, problems: list[str]) -> dict[str, float]:
    if entry is None:
        return {}
    if not isinstance(entry, Mapping) or not entry or not all(map(is_number, entry.values())):
        problems.append(f"{COMBINED}: a mapping from objectives to their weights is wanted")
        return {}
    return {str(key): float(value) for key, value in entry.items()}


def _whole(value: Any, name: str, problems: list[str]) -> int | None:
    if value is None:
        return None
    if not is_number(value) or value < 1 or value != int(value):
        problems.append(f"{name} is a whole number from 1, not {value!r}")
        return None
    return int(value)


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

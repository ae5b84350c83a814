"""One parameter of a sweep, as W&B's sweep files write it: its distribution, checked, with W&B's defaults."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from goemo_cli.core.errors import did_you_mean
from goemo_cli.services.sweep.entries import (
    LAWS,
    Choice,
    Constant,
    ExponentRange,
    WeightedChoice,
    problems_in,
)

DISTRIBUTIONS = tuple(LAWS)
_WHOLE_GRID = ("constant", "categorical", "int_uniform", "q_uniform")
_EXPONENTS = tuple(name for name, law in LAWS.items() if issubclass(law, ExponentRange))
"""Their bounds are logarithms of the values."""
_ENTRY_KEYS = (
    "distribution",
    "parameters",
    *dict.fromkeys(key for law in LAWS.values() for key in law.model_fields),
)


@dataclass(frozen=True)
class Parameter:
    """A setting and the values that a sweep tries."""

    name: str
    """Dotted, as in `training.learning_rate`."""
    distribution: str
    """One of `DISTRIBUTIONS`."""
    values: tuple[Any, ...] = ()
    """constant: the one value; categorical: all of them."""
    weights: tuple[float, ...] = ()
    """categorical_w_probabilities: of each value; they add up to 1."""
    numbers: Mapping[str, float] | None = None
    """min, max, mu, sigma, a, b, q, as far as the distribution has them."""

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to search."""
        return self.distribution == "constant"

    def shown(self) -> str:
        """The values for people; of bounds that are exponents, also the values that they mean."""
        if self.values:
            return ", ".join(map(str, self.values))
        numbers = self.numbers or {}
        if self.distribution in _EXPONENTS and (span := self.interval()):
            low, high = numbers["min"], numbers["max"]
            ends = f"exp({low:g}) ... exp({high:g})"
            if self.distribution == "inv_log_uniform":
                ends = f"exp({-high:g}) ... exp({-low:g})"
            rest = [f"q {numbers['q']:g}"] if "q" in numbers else []
            return ", ".join([f"{ends} = {span[0]:.6g} ... {span[1]:.6g}", *rest])
        text = ", ".join(f"{key} {value:g}" for key, value in numbers.items())
        if "log_normal" in self.distribution:
            return f"{text}; median exp({numbers['mu']:g}) = {math.exp(numbers['mu']):.6g}"
        return text

    def doubt(self) -> str | None:
        """What is probably meant in another way: bounds between 0 and 1 of a distribution whose bounds are exponents."""
        span = self.interval()
        if self.distribution not in _EXPONENTS or span is None or self.numbers is None:
            return None
        low, high = self.numbers["min"], self.numbers["max"]
        if low < 0 or high > 1:
            return None
        return (
            f"{self.name}: min and max of {self.distribution} are exponents, so the values are between "
            f"{span[0]:.6g} and {span[1]:.6g}; for values between {low:g} and {high:g} write {self.distribution}_values"
        )

    def interval(self) -> tuple[float, float, bool] | None:
        """(low, high, whether the logarithm is uniform) before rounding; None for every other law."""
        if self.numbers is None or "min" not in self.numbers:
            return None
        low, high = self.numbers["min"], self.numbers["max"]
        if self.distribution in ("log_uniform", "q_log_uniform"):  # the bounds are exponents
            return math.exp(low), math.exp(high), True
        if self.distribution == "inv_log_uniform":  # and here those of 1/X
            return math.exp(-high), math.exp(-low), True
        return low, high, "log" in self.distribution

    def rounded(self, number: float) -> float | int:
        """`round(X / q) * q`, as W&B rounds; whole numbers stay whole. Unchanged if the distribution has no q."""
        q = (self.numbers or {}).get("q")
        if q is None:
            return number
        multiple = round(number / q)
        # 3 * 0.05 is 0.15000000000000002: readers and the search for duplicates expect 0.15.
        return multiple * int(q) if float(q).is_integer() else float(f"{multiple * q:.12g}")

    def grid(self) -> tuple[Any, ...] | None:
        """All values, in their order, as in W&B's grid; None if they are infinitely many or have weights."""
        if self.distribution not in _WHOLE_GRID:
            return None
        if self.numbers is None:
            return self.values
        low, high = self.numbers["min"], self.numbers["max"]
        if self.distribution == "int_uniform":
            return tuple(range(int(low), int(high) + 1))
        q = self.numbers["q"]  # numpy's arange on W&B's side: max itself is left out
        return tuple(_tidy(low + at * q) for at in range(math.ceil((high - low) / q)))

    def probes(self) -> tuple[Any, ...]:
        """Values that must be possible settings: all named values, else both ends; none if there are no ends.

        Without rounding the ends themselves are as good as never drawn, so that `min: 0` of what must be above 0 is
        fine: the probes are slightly inside.
        """
        if self.values:
            return self.values
        if self.distribution == "int_uniform":
            return tuple(int((self.numbers or {})[key]) for key in ("min", "max"))
        if (span := self.interval()) is None:
            return ()
        low, high, _ = span
        hair = 0.0 if "q" in (self.numbers or {}) else 1e-9 * (high - low)
        return self.rounded(low + hair), self.rounded(high - hair)


def parse_parameters(section: Any, problems: list[str], prefix: str = "") -> Iterator[Parameter]:
    """The parameters of a sweep file, nested ones (`parameters:` within a parameter) by their dotted names.

    Args:
        problems: takes a sentence for everything that is wrong.
        prefix: of the names, if they are nested.
    """
    if not isinstance(section, Mapping) or not section:
        problems.append(f"{prefix}parameters: a mapping from settings to their values is wanted")
        return
    for key, entry in section.items():
        name = f"{prefix}{key}"
        if not isinstance(entry, Mapping):
            which = "values" if isinstance(entry, list) else "value"
            problems.append(f"{name}: write `{which}: {entry}` below it, or a distribution")
        elif set(entry) == {"parameters"}:
            yield from parse_parameters(entry["parameters"], problems, f"{name}.")
        else:
            yield from _parameter(name, entry, problems)


def _parameter(name: str, entry: Mapping[str, Any], problems: list[str]) -> Iterator[Parameter]:
    """The parameter of an entry, if nothing is wrong with it."""
    if entry and not set(entry) & set(_ENTRY_KEYS):
        problems.append(f"{name}: {_misplaced(name, entry)}")
        return
    distribution = _distribution(entry)
    if not isinstance(distribution, str) or distribution not in LAWS:
        problems.append(f"{name}: {_unknown(distribution)}")
        return
    given = {key: value for key, value in entry.items() if key != "distribution"}
    try:
        law = LAWS[distribution].model_validate(given)
    except ValidationError as error:
        problems += [f"{name}: {problem}" for problem in problems_in(error, distribution)]
        return
    match law:
        case Constant():
            yield Parameter(name, distribution, (law.value,))
        case WeightedChoice():
            yield Parameter(name, distribution, tuple(law.values), tuple(law.probabilities))
        case Choice():
            yield Parameter(name, distribution, tuple(law.values))
        case _:
            yield Parameter(name, distribution, numbers=law.model_dump())


def _distribution(entry: Mapping[str, Any]) -> Any:
    """The distribution of an entry: the one that it names, else W&B's rules; None if they name none."""
    named = entry.get("distribution") or _implied(entry)
    return "categorical_w_probabilities" if named == "categorical" and "probabilities" in entry else named


def _unknown(distribution: Any) -> str:
    if not distribution:
        return "neither value, values nor min and max"
    near = did_you_mean(str(distribution), DISTRIBUTIONS) or f"; known: {', '.join(DISTRIBUTIONS)}"
    return f"no distribution {distribution!r}{near}"


def _misplaced(name: str, entry: Mapping[str, Any]) -> str:
    """What to write instead of an entry of unknown keys."""
    first = str(next(iter(entry)))
    if near := did_you_mean(first, _ENTRY_KEYS):
        return f"unknown key {first!r}{near}"
    return f"settings inside it go under `parameters:`, as in {name}: {{parameters: {{{first}: ...}}}}; or write {name}.{first}"


def _implied(entry: Mapping[str, Any]) -> str | None:
    """W&B's rules for a parameter that names no distribution."""
    if "value" in entry:
        return "constant"
    if "values" in entry:
        return "categorical"
    if "min" in entry or "max" in entry:
        whole = all(type(entry.get(key)) is int for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    return None


def _tidy(number: float) -> float | int:
    return number if isinstance(number, int) else float(f"{number:.12g}")

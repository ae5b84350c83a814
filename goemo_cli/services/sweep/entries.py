"""The mappings of a sweep file as pydantic models: what every distribution needs, and what is wrong with a mapping."""

import math
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictInt,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails


class Entry(BaseModel):
    """A mapping of a sweep file, with exactly these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"is not a number: {value!r}")
    return value


Number = Annotated[float, PlainValidator(_finite)]
"""A finite number; whole numbers stay whole."""
Positive = Annotated[Number, Field(gt=0)]


class Constant(Entry):
    """One value."""

    value: Any


class Choice(Entry):
    """Values, all as probable."""

    values: Annotated[list[Any], Field(min_length=1)]


class WeightedChoice(Choice):
    """Values with their probabilities."""

    probabilities: list[Annotated[Number, Field(ge=0)]]

    @model_validator(mode="after")
    def _one_of_each_value(self) -> Self:
        if len(self.probabilities) != len(self.values):
            raise ValueError(f"{len(self.values)} values need as many probabilities")
        if abs(sum(self.probabilities) - 1) > 1e-6:
            raise ValueError("probabilities do not add up to 1")
        return self


class _Range(Entry):
    min: Number
    max: Number

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        return self


class _WholeRange(_Range):
    min: StrictInt
    max: StrictInt


class _PositiveRange(_Range):
    min: Positive


class ExponentRange(_Range):
    """Bounds that are logarithms of the values."""

    @model_validator(mode="after")
    def _representable(self) -> Self:
        if (largest := max(self.min, self.max, key=abs)) and abs(largest) > 700:
            raise ValueError(
                f"min and max are exponents, and exp({largest}) is out of range; "
                "the distribution whose name ends in _values takes the values themselves"
            )
        return self


class _Normal(Entry):
    mu: Number = 0.0
    sigma: Annotated[Number, Field(ge=0)] = 1.0


class _Beta(Entry):
    a: Positive = 1.0
    b: Positive = 1.0


class _Rounded(Entry):
    q: Positive = 1.0


_EXACT: dict[str, type[Entry]] = {
    "constant": Constant,
    "categorical": Choice,
    "categorical_w_probabilities": WeightedChoice,
    "int_uniform": _WholeRange,
    "uniform": _Range,
    "log_uniform": ExponentRange,
    "log_uniform_values": _PositiveRange,
    "inv_log_uniform": ExponentRange,
    "inv_log_uniform_values": _PositiveRange,
    "normal": _Normal,
    "log_normal": _Normal,
    "beta": _Beta,
}
_ROUNDED = ("uniform", "log_uniform", "log_uniform_values", "normal", "log_normal", "beta")
LAWS = _EXACT | {
    f"q_{name}": create_model(f"q_{name}", __base__=(_Rounded, _EXACT[name])) for name in _ROUNDED
}
"""By distribution: its keys with their types and defaults (src/sweeps/config/schema.json of wandb/sweeps)."""

_WORDS = {
    "literal_error": "is {expected}, not {input!r}",
    "greater_than": "is not above {gt:g}: {input}",
    "greater_than_equal": "is below {ge:g}: {input}",
    "too_short": "needs at least {min_length}, not {actual_length}",
    "list_type": "is not a list: {input!r}",
    "int_type": "is not a whole number: {input!r}",
    "string_type": "is not a text: {input!r}",
    "bool_type": "is not true or false: {input!r}",
    "model_type": "is not a mapping: {input!r}",
    "dict_type": "is not a mapping: {input!r}",
    "value_error": "{error}",
}
"""What is wrong with a value, by pydantic's name of the fault."""


def problems_in(error: ValidationError, mapping: str = "") -> list[str]:
    """A sentence for every fault of a mapping, with the key.

    Args:
        mapping: what it is called, if a key is missing or unknown.
    """
    return [_problem(fault, mapping) for fault in error.errors(include_url=False)]


def _problem(fault: ErrorDetails, mapping: str) -> str:
    *outer, key = fault["loc"] or ("",)
    parent = _place(outer) or mapping
    if fault["type"] == "missing":
        return f"{parent} needs {key}" if parent else f"{key} is missing"
    if fault["type"] in ("extra_forbidden", "invalid_key"):
        return f"{parent} has no key {key}" if parent else f"unknown key {key!r}"
    text = _WORDS.get(fault["type"], fault["msg"]).format(input=fault["input"], **fault.get("ctx", {}))
    place = _place([*outer, key])
    return f"{place} {text}" if place else text


def _place(location: list[int | str]) -> str:
    """`metrics[0].goal`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(
        "."
    )

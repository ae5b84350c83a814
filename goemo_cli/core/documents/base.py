"""What all JSON documents share: one reader, one writer, one kind of error for a wrong value."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, write_json

_MAX_FAULTS = 3
"""Faults of one file that an error describes."""


Interval = Annotated[tuple[float, float], Strict(False)]
"""Lower and upper bound of a 95 % interval."""


Fraction = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """A JSON object that goemo writes. Unknown keys are kept, since a newer version may have written them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
        defer_build=True,  # a list of runs needs the manifest only
    )

    @classmethod
    def read(cls, path: Path) -> Self:
        """The document in a file.

        Raises:
            CorruptArtifactError: the file is not a JSON object, or a value is missing or has the wrong type; the
                message names its key.
            OSError: the file cannot be read.
        """
        return cls.checked(read_json_object(path), path)

    @classmethod
    def checked(cls, values: Any, path: Path) -> Self:
        """The document in JSON values that were read from a file.

        Raises:
            CorruptArtifactError: a value is missing or has the wrong type.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = faults(error)
            more = ", ..." if found[_MAX_FAULTS:] else ""
            raise CorruptArtifactError(path, ", ".join(found[:_MAX_FAULTS]) + more) from error

    @classmethod
    def faults_in(cls, path: Path) -> list[str]:
        """Every fault of a document in a file; none if `read` accepts it.

        Raises:
            CorruptArtifactError: the file is not a JSON object.
            OSError: the file cannot be read.
        """
        try:
            cls.model_validate(read_json_object(path))
        except ValidationError as error:
            return faults(error)
        return []

    def write(self, path: Path) -> None:
        """Write the values that were set, atomically and in the order of the fields."""
        write_json(path, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The values that were set, as JSON types, by the names used in the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ExcludedRows(Document):
    """Rows of train that were left out because a work list of `goemo data audit` excludes them."""

    file: str
    sha256: str
    """Of the file."""
    rows: int = Field(ge=0)
    """The number of rows that were left out."""


def faults(error: ValidationError) -> list[str]:
    """Every fault that a validation found, each with its key path: `test.per_label.f1_macro is missing`."""
    return [_fault(fault["type"], fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]


def _fault(kind: str, location: tuple[int | str, ...], message: str) -> str:
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    if kind == "missing_rule":
        return f"{place}.{message}" if place else message
    if kind == "missing":
        return f"{place} is missing"
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{place} {text}" if place else text

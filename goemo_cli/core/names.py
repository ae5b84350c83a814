"""Names of runs: minted once, in UTC, parsed from anywhere. Every file of a run derives its name from it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Self

_STAMP = "%Y%m%d-%H%M%S"
_OLD_STAMP = "%m-%d-%Y-%H%M%S"
_RUN = re.compile(r"(?P<model>[a-z0-9][a-z0-9._-]*?)-(?P<stamp>\d{8}-\d{6})")
# The older form of others' runs, month first: distilbert-12-11-2025-221314.
_OLD_RUN = re.compile(r"(?P<model>[a-z0-9][a-z0-9._-]*?)-(?P<stamp>\d{2}-\d{2}-\d{4}-\d{6})")


def model_slug(name: str) -> str:
    """The part of a run's name that says the model: `[a-z0-9._-]+`, from a catalogue name, Hub id or path."""
    last = PurePath(name).name or name
    slug = re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("-._")
    return slug[:80] or "model"


def data_slug(name: str) -> str:
    """What files call evaluated data: `[a-z0-9.-]+`, from a file name without suffix or what the user calls it."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60] or "data"


def family_of(model: str) -> str:
    """The folder of a model outside the catalogue: its name up to the first `-` (roberta-large -> roberta)."""
    return model.split("-", 1)[0]


@dataclass(frozen=True, order=True)
class RunName:
    """One execution of `goemo train`: `{model}-{YYYYMMDD-HHMMSS}`."""

    model: str
    stamp: str

    def __str__(self) -> str:
        return f"{self.model}-{self.stamp}"

    @property
    def file_stem(self) -> str:
        """How files outside the checkpoint spell the run: `{model}_{YYYYMMDD-HHMMSS}`."""
        return f"{self.model}_{self.stamp}"

    @classmethod
    def mint(cls, model: str, now: datetime | None = None) -> Self:
        """A name for a run that starts now.

        Args:
            model: catalogue name, Hub id or path; reduced by `model_slug`.
            now: the start; the present moment by default. Converted to UTC.
        """
        return cls(model_slug(model), (now or datetime.now(UTC)).astimezone(UTC).strftime(_STAMP))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The run of a name, also in the older form; None if it is not a run name."""
        for pattern, form in ((_RUN, _STAMP), (_OLD_RUN, _OLD_STAMP)):
            if match := pattern.fullmatch(text):
                try:
                    return cls(match["model"], datetime.strptime(match["stamp"], form).strftime(_STAMP))
                except ValueError:  # the 30th of February
                    return None
        return None

    def next_second(self) -> Self:
        """The same model, one second later: what a run takes when its name is already claimed."""
        later = datetime.strptime(self.stamp, _STAMP) + timedelta(seconds=1)
        return type(self)(self.model, later.strftime(_STAMP))

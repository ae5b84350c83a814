"""What all benchmarks share: interleaved rounds, and results as JSON with medians, spread, machine and versions."""

import argparse
import importlib.metadata
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, computed_field

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "goemo",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scikit-learn",
    "onnxruntime",
    "openvino",
)
FEATURES = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")
"""Those that decide the speed of matrix products, fastest first."""

Found = TypeVar("Found")
Quantities = Mapping[str, float]
"""What one measurement found, by names with units: `comments/s`, `memory in MiB`."""


class Values(BaseModel):
    """One value of each round."""

    values: list[float]

    @computed_field  # type: ignore[prop-decorator]  # mypy cannot combine the two
    @property
    def median(self) -> float | None:
        """The median of the rounds."""
        return statistics.median(self.values) if self.values else None

    @computed_field  # type: ignore[prop-decorator]  # mypy cannot combine the two
    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest value."""
        return (min(self.values), max(self.values)) if self.values else None


class Cell(Values):
    """A quantity of a variant. Without values, the remark says why."""

    variant: str
    quantity: str
    values: list[float] = []
    remark: str = ""


class Ratio(Values):
    """A variant's quantity over that of another variant in the same round."""

    variant: str
    over: str
    quantity: str


class Table(BaseModel):
    """Variants that were measured in the same rounds."""

    title: str
    heading: str
    """What the variants are."""
    cells: list[Cell] = []
    ratios: list[Ratio] = []

    def add(self, variant: str, found: Quantities) -> None:
        """Add the quantities of one more round of a variant."""
        for quantity, value in found.items():
            self.cell(variant, quantity).values.append(_short(value))

    def cell(self, variant: str, quantity: str) -> Cell:
        """The cell, a new one if it is missing."""
        for cell in self.cells:
            if (cell.variant, cell.quantity) == (variant, quantity):
                return cell
        self.cells.append(Cell(variant=variant, quantity=quantity))
        return self.cells[-1]

    def compare(self, variant: str, over: str, quantity: str) -> None:
        """Add the ratio of two variants, round by round."""
        pairs = zip(self.cell(variant, quantity).values, self.cell(over, quantity).values, strict=True)
        values = [_short(above / below) for above, below in pairs]
        self.ratios.append(Ratio(variant=variant, over=over, quantity=quantity, values=values))
        print(f"{variant} / {over}, {quantity}: {statistics.median(values):.3g}", flush=True)


class Machine(BaseModel):
    """The processor that a benchmark ran on."""

    processor: str
    features: list[str]
    """Those of FEATURES that it has."""
    limit: str | None
    """An instruction set that programs were limited to: an imitation of an older processor."""
    cores: int
    threads: int
    memory_gib: float

    @property
    def kind(self) -> str:
        """The fastest feature in use: processors of one kind behave similarly."""
        if self.limit:
            return f"{self.limit}_imitated"
        return self.features[0] if self.features else platform.machine()


class Result(BaseModel):
    """All that one run of a benchmark found."""

    name: str
    title: str
    about: str
    """Markdown: what is compared, and how."""
    command: str
    date: str
    machine: Machine
    versions: dict[str, str]
    tables: list[Table] = []

    def write(self, folder: Path) -> None:
        """Write `{name}.{kind of machine}.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.{self.machine.kind}.json"
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        print(path)


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of all benchmarks: --rounds and --results."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    return parser


def new_result(name: str, title: str, about: str | None) -> Result:
    """A result without tables, from this process on this machine."""
    return Result(
        name=name,
        title=title,
        about=about or "",
        command=" ".join([f"python -m benchmarks.{name}", *map(_public, sys.argv[1:])]),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=this_machine(),
        versions={"python": platform.python_version()} | _versions(),
    )


def interleaved(
    title: str,
    heading: str,
    variants: Mapping[str, Callable[[int], Quantities]],
    rounds: int,
) -> Table:
    """Measure all variants in turn, `rounds` times; each is called with the number of the round, from 0."""
    table = Table(title=title, heading=heading)
    for number in range(rounds):
        for name, measure in variants.items():
            found = measure(number)
            table.add(name, found)
            shown = ", ".join(f"{value:.4g} {quantity}" for quantity, value in found.items())
            print(f"round {number + 1}: {name:<28} {shown}", flush=True)
    return table


def timed(work: Callable[[], Found]) -> tuple[float, float, Found]:
    """Seconds on the clock, seconds of the processor, and what came out."""
    started, began = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - started, time.process_time() - began, found


def children_cpu_seconds() -> float:
    """User and system time of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def this_machine() -> Machine:
    """The processor and the limits of this process."""
    facts = _cpuinfo()
    flags = facts.get("flags", "").split()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        processor=facts.get("model name", platform.processor()),
        features=[feature for feature in FEATURES if feature in flags],
        limit=os.environ.get("ATEN_CPU_CAPABILITY"),
        cores=cores,
        threads=int(os.environ.get("OMP_NUM_THREADS") or cores),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    )


def _public(argument: str) -> str:
    return "DIR" if Path(argument).is_absolute() else argument


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().partition("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _versions() -> dict[str, str]:
    installed = {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}

"""Writes docs/performance.md from the files in results/: `python -m benchmarks.page`; `make bench` ends with it.

The notes on `NAME.KIND.json`, written by people, are in `NAME.KIND.md`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import RESULTS, Machine, Result, Table, Values

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
ORDER = ("throughput", "quality", "predict", "engines", "serve", "startup", "saving", "tracking", "growth")
HEAD = """# Performance

Made from [the results](../benchmarks/results) of `make bench`, which runs the programs in [benchmarks](../benchmarks). Numbers are medians
of the rounds, with the smallest and the largest value. Variants of one table were measured in turn in one run, so their
ratios mean more than the numbers: numbers depend on the machine and its load.
"""


def page(folder: Path = RESULTS) -> str:
    """The page of all results in a folder."""
    return "\n".join([HEAD, *(part for result in read_results(folder) for part in _parts(result, folder))])


def read_results(folder: Path) -> list[Result]:
    """All results, in the order of the page; on one subject, by kind of machine."""
    found = [Result.model_validate_json(path.read_bytes()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda result: (ORDER.index(result.name), result.machine.kind))


def _parts(result: Result, folder: Path) -> Iterator[str]:
    yield f"## {result.title}: {_kind(result.machine)}\n"
    yield f"{result.about}\n"
    yield f"{_origin(result)}\n"
    notes = folder / f"{result.name}.{result.machine.kind}.md"
    if notes.is_file():
        yield notes.read_text(encoding="utf-8")
    for table in result.tables:
        yield f"### {table.title}\n"
        yield "\n".join(_table(table)) + "\n"


def _kind(machine: Machine) -> str:
    return machine.kind.replace("_", " ").replace("avx", "AVX").replace("bf16", "BF16").replace("amx", "AMX")


def _origin(result: Result) -> str:
    machine = result.machine
    limit = (
        f" This is an imitation: programs were limited to {machine.limit.upper()} in fp32 on a newer processor."
        if machine.limit
        else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"{machine.processor} ({', '.join(machine.features)}), {machine.cores} cores, {machine.threads} threads, "
        f"{machine.memory_gib:g} GiB; {versions}; {result.date}; `{result.command}`.{limit}"
    )


def _table(table: Table) -> Iterator[str]:
    """The quantities of the variants, turned if there are more quantities than variants; then the ratios, one in a row."""
    variants = list(dict.fromkeys(cell.variant for cell in table.cells))
    quantities = list(dict.fromkeys(cell.quantity for cell in table.cells))
    is_turned = len(quantities) > len(variants)
    rows, columns = (quantities, variants) if is_turned else (variants, quantities)
    yield _row(["" if is_turned else table.heading, *columns])
    yield _row(["---"] * (1 + len(columns)))
    for row in rows:
        cells = [table.cell(*((column, row) if is_turned else (row, column))) for column in columns]
        yield _row([row, *(cell.remark or _values(cell) for cell in cells)])
    if table.ratios:
        yield ""
        yield _row([table.heading, "over", "", "ratio"])
        yield _row(["---"] * 4)
    for ratio in table.ratios:
        yield _row([ratio.variant, ratio.over, ratio.quantity, _values(ratio, " x")])


def _values(found: Values, unit: str = "") -> str:
    if found.median is None or found.spread is None:
        return ""
    spread = f" ({_number(found.spread[0])} to {_number(found.spread[1])})" if len(found.values) > 1 else ""
    return f"{_number(found.median)}{unit}{spread}"


def _number(value: float) -> str:
    """Three digits, more before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""Plan a bulk prediction: which rows there are, which model predicts them, and which shard has which rows."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import CARD, Checkpoint
from goemo_cli.core.documents.bulk import BulkPlan, InputFile
from goemo_cli.core.errors import DataFileError, MissingPackageError, SettingError
from goemo_cli.core.events import EventHandler, Info, progress
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.services.data.data_file import shown_source
from goemo_cli.services.exporting.engines import engine_of, with_engine
from goemo_cli.services.predicting.bulk.folder import BulkFolder
from goemo_cli.services.predicting.bulk.inputs import Inputs, find_inputs
from goemo_cli.services.predicting.formats import OutputFormat
from goemo_cli.services.predicting.label_rule import label_rule
from goemo_cli.services.predicting.predictor import decision_facts
from goemo_cli.services.predicting.sources import TextSource, open_texts
from goemo_cli.services.runs.locks import held

SHARD_ROWS = 100_000
"""Rows of a shard if the user names no number of shards: some minutes of one core."""
FILE_COLUMN, ROW_COLUMN = "goemo_file", "goemo_row"
"""The id of a row: its file, by the name in the plan, and its position in it, counted from 0."""
COMMAND = "goemo predict"
TRIES = 3
"""Workers that may end while they compute one part; then it is the part that ends them."""
_FOREVER = -1.0


@dataclass(frozen=True)
class BulkRequest:
    """What to predict, and where to write it.

    Attributes:
        source: a file, a folder, a pattern or a URL.
        output: the folder of the parts.
        format: of the parts.
        formula_safe: write texts in CSV so that no spreadsheet takes them for formulas.
        shards: number of parts; by default that of the plan of the folder, else one for each 100,000 rows.
        reading: `format`, `encoding` and `text_column` of the inputs, as `open_texts` takes them.
    """

    source: str
    output: Path
    format: OutputFormat = "parquet"
    formula_safe: bool = False
    shards: int | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BulkModel:
    """A model that each process loads in the same way.

    Attributes:
        checkpoint: folder of a run, or of its exported model.
        root: of the project.
        options: of `Predictor.load`.
    """

    checkpoint: Path
    root: Path
    options: Mapping[str, Any]


@dataclass(frozen=True)
class BulkJob:
    """What a process needs to compute a shard of a plan.

    Attributes:
        output: the folder with the plan.
        model: that predicts.
        locations: path or URL of each input by its name.
    """

    output: Path
    model: BulkModel
    locations: Mapping[str, str]


def plan_job(
    request: BulkRequest,
    checkpoint: Checkpoint,
    root: Path,
    options: Mapping[str, Any],
    *,
    least_shards: int = 1,
    has_to_hash: bool = True,
    on_event: EventHandler,
) -> BulkJob:
    """Plan the prediction, or check that the folder has the same plan.

    Args:
        options: of `Predictor.load`.
        least_shards: number of shards of few rows, if the user names none.
        has_to_hash: read all inputs again if there is a plan. Otherwise their names and sizes are compared; each
            process compares the content of the files that it reads.

    Raises:
        SettingError: the folder has the plan of another prediction, or files and no plan.
        NotFoundError, RemoteError, DataError: inputs that cannot be found or read.
        MissingPackageError: an optional package is missing.
    """
    folder = BulkFolder(request.output.absolute())
    inputs = find_inputs(request.source, without=folder.path, data_format=request.reading.get("format"))
    if request.format == "parquet" and find_spec("pyarrow") is None:
        raise MissingPackageError("pyarrow", "parquet", "writing Parquet")
    opened = with_engine(
        checkpoint,
        Layout(root),
        options["engine"],
        device=options["device"],
        precision=options["precision"],
    )
    if inputs.ignored:
        on_event(
            Info(f"{len(inputs.ignored)} files without a known suffix are not read: {_few(inputs.ignored)}")
        )
    wanted = _Wanted(request, opened, options, inputs, least_shards)
    if folder.plan_file.exists():
        _require_same(folder, wanted, has_to_hash=has_to_hash, on_event=on_event)
    else:
        _require_empty(folder)
        with held(
            folder.records, COMMAND, wait=_FOREVER
        ):  # the other processes wait for the first one's plan
            if not folder.plan_file.exists():
                plan = wanted.plan(None, on_event)
                plan.write(folder.plan_file)
                on_event(
                    Info(f"Planned: {plan.rows:,} rows, files: {len(plan.inputs):,}, parts: {plan.shards:,}")
                )
        _require_same(BulkFolder(folder.path), wanted, has_to_hash=False, on_event=on_event)
    engine = "auto" if opened.manifest.export else "torch"  # the folder of an exported model means onnx
    model = BulkModel(opened.path.absolute(), root.absolute(), {**options, "engine": engine})
    return BulkJob(folder.path, model, inputs.locations)


def model_sha256(checkpoint: Checkpoint) -> str:
    """SHA-256 over the names and SHA-256 of all files of a model, members included; its model card may be edited."""
    digest = hashlib.sha256()
    for name, entry in sorted(checkpoint.manifest.files.items()):
        if name != CARD:
            digest.update(f"{name} {entry.sha256}\n".encode())
    for member in checkpoint.manifest.parents.members:
        digest.update(model_sha256(Checkpoint.read(checkpoint.path.resolve().parent / member)).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Wanted:
    """A plan in the making."""

    request: BulkRequest
    opened: Checkpoint
    options: Mapping[str, Any]
    inputs: Inputs
    least_shards: int

    def plan(self, known: BulkPlan | None, on_event: EventHandler, *, has_to_hash: bool = True) -> BulkPlan:
        """The plan of this work now; rows of files that `known` has with the same content are not counted again."""
        surveyed = _Survey(self.request, known, has_to_hash)
        with progress(on_event, "Reading the inputs", len(self.inputs.locations), "files") as advance:
            for name, location in self.inputs.locations.items():
                surveyed.add(name, location, self.inputs.sizes[name])
                advance(1)
        rows = sum(file.rows for file in surveyed.files)
        shards = self.request.shards or (
            known.shards if known else max(-(-rows // SHARD_ROWS), self.least_shards)
        )
        return BulkPlan(
            schema_version=SCHEMA_VERSION,
            run=str(self.opened.run),
            model_sha256=model_sha256(self.opened),
            decision=self._decision(on_event),
            reading=dict(self.request.reading),
            format=self.request.format,
            formula_safe=self.request.formula_safe,
            columns=surveyed.columns,
            is_typed=surveyed.is_typed,
            rows=rows,
            shards=shards,
            inputs=surveyed.files,
        )

    def _decision(self, on_event: EventHandler) -> dict[str, Any]:
        options = dict(self.options)
        rule = label_rule(
            self.opened,
            threshold=options["threshold"],
            rule=options["threshold_rule"],
            top_k=options["top_k"],
            calibrated=options["calibrated"],
            taxonomy=options["taxonomy"],
            on_event=on_event,
        )
        export = self.opened.manifest.export
        precision = export.precision if export else options["precision"]
        return decision_facts(rule, precision=precision, engine=engine_of(self.opened))


class _Survey:
    """Reads input files, one after the other: number of rows, hash and columns."""

    def __init__(self, request: BulkRequest, known: BulkPlan | None, has_to_hash: bool) -> None:
        self.files: list[InputFile] = []
        self._request, self._has_to_hash = request, has_to_hash
        self._known = {file.name: file for file in known.inputs} if known else {}
        self._columns = known.columns if known else None
        self._named = ""
        """The file that the columns are from; empty if it is the plan."""
        self._types: Any = None
        self._first_typed = ""
        self._is_typed = known.is_typed if known else True

    @property
    def columns(self) -> list[str] | None:
        """The columns of the parts."""
        return None if self._request.format == "jsonl" else self._columns or []

    @property
    def is_typed(self) -> bool:
        """Whether all files are Parquet."""
        return self._is_typed

    def add(self, name: str, location: str, size: int | None) -> None:
        """Read a file."""
        known = self._known.get(name)
        if known and not self._has_to_hash and known.size == size:
            self.files.append(known)
            return
        with open_texts(location, **self._request.reading) as source:
            assert source.stored
            sha256, shown = sha256_file(source.stored()), shown_source(location)
            self._check_columns(shown, source)
            is_same = known is not None and known.sha256 == sha256
            rows = known.rows if known and is_same else self._count(shown, source)
        self.files.append(InputFile(name=name, rows=rows, size=size, sha256=sha256))

    def _count(self, shown: str, source: TextSource) -> int:
        if source.arrow_schema is not None and source.total is not None:
            return source.total
        rows = 0
        for row in source.rows:
            if source.columns is None and self._request.format != "jsonl":
                self._check_names(shown, tuple(row.columns), row.line)
            rows += 1
        return rows

    def _check_columns(self, shown: str, source: TextSource) -> None:
        if self._request.format == "jsonl":
            return
        types = source.arrow_schema
        self._is_typed = self._is_typed and types is not None
        if source.columns is not None:
            self._check_names(shown, source.columns, None)
        if self._is_typed and types is not None:
            types = types.remove_metadata()
            if self._types is None:
                self._types, self._first_typed = types, shown
            for field_ in types:
                if self._types.field(field_.name).type != field_.type:
                    raise DataFileError(
                        shown,
                        f"column {field_.name!r} has the type {field_.type}, and "
                        f"{self._types.field(field_.name).type} in {self._first_typed}; --format jsonl needs no types",
                    )

    def _check_names(self, shown: str, columns: tuple[str, ...], line: int | None) -> None:
        """Refuse columns that the first file does not have; rows of JSON may have fewer."""
        if self._columns is None:
            self._columns, self._named = list(columns), shown
        odd = [name for name in columns if name not in self._columns]
        if line is None:
            odd += [name for name in self._columns if name not in columns]
        if odd:
            where = (
                f"in all inputs (compare {self._named})" if self._named else "in the plan of this --output"
            )
            raise DataFileError(
                shown,
                f"column {odd[0]!r} is not {where}, and a table has the same columns throughout; "
                + (
                    "--format jsonl keeps them"
                    if self._named
                    else "name another --output, or remove this folder"
                ),
                line,
            )


def _require_same(folder: BulkFolder, wanted: _Wanted, *, has_to_hash: bool, on_event: EventHandler) -> None:
    now = wanted.plan(folder.plan, on_event, has_to_hash=has_to_hash)
    differences = list(_differences(folder.plan, now))
    if differences:
        raise SettingError(
            [f"{difference}" for difference in differences]
            + ["name another --output, or remove this folder"],
            f"--output {folder.path} has another plan",
        )


def _differences(before: BulkPlan, now: BulkPlan) -> Iterator[str]:
    """What is not as planned."""
    if before.run != now.run:
        yield f"the run is {now.run}, was {before.run} (-c {before.run})"
    elif before.model_sha256 != now.model_sha256:
        yield f"files of {now.run} have changed"
    for name, value in now.decision.items():
        was = before.decision.get(name)
        if was != value and before.run == now.run:
            yield f"{name} differ" if isinstance(value, dict) else f"{name} is {value}, was {was}"
    for name, was, value in (
        ("format", before.format, now.format),
        ("formula_safe", before.formula_safe, now.formula_safe),
        ("shards", before.shards, now.shards),
        *((f"{name} of the input", before.reading.get(name), value) for name, value in now.reading.items()),
    ):
        if was != value:
            yield f"{name} is {value}, was {was}"
    then, these = ({file.name: file for file in plan.inputs} for plan in (before, now))
    if gone := sorted(then.keys() - these.keys()):
        yield f"inputs are missing: {_few(gone)}"
    if new := sorted(these.keys() - then.keys()):
        yield f"inputs are new: {_few(new)}"
    if changed := sorted(name for name in then.keys() & these.keys() if then[name] != these[name]):
        yield f"inputs have changed: {_few(changed)}"


def _require_empty(folder: BulkFolder) -> None:
    if folder.path.is_dir() and (
        found := sorted(path.name for path in folder.path.iterdir() if not path.name.startswith("."))
    ):
        raise SettingError(
            [
                f"--output {folder.path}: the folder has files, and none is a plan of goemo ({_few(found)}); name a new folder"
            ]
        )


def _few(names: "list[str] | tuple[str, ...]") -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

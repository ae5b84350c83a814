"""Compute a part: the predictions of one shard, and the marker that says that they are complete."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BulkPart, InputRows
from goemo_cli.core.documents.manifest import FileEntry
from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.services.data.data_file import shown_source
from goemo_cli.services.exporting.engines import engine_of
from goemo_cli.services.parallel.shares import take_gpu
from goemo_cli.services.predicting.bulk.folder import BulkFolder
from goemo_cli.services.predicting.bulk.plans import FILE_COLUMN, ROW_COLUMN, BulkJob, model_sha256
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.predicting.sources import TextRow, TextSource, open_texts
from goemo_cli.services.predicting.stream import predict_to_file
from goemo_cli.services.predicting.writers import own_cells
from goemo_cli.tracking.environment import processor

_IDS = (FILE_COLUMN, ROW_COLUMN)


class PartWriter:
    """A process that computes parts; it loads the model once.

    Args:
        worker: its number among those of this machine, which use one GPU each; None if it is the only one.

    Raises:
        CorruptArtifactError: the model is not the one of the plan.
        As `Predictor.load`.
    """

    def __init__(self, job: BulkJob, worker: int | None = None) -> None:
        self._job, self._folder = job, BulkFolder(job.output)
        options = job.model.options
        checkpoint = Checkpoint.open(job.model.checkpoint)
        if model_sha256(checkpoint) != self._folder.plan.model_sha256:
            raise CorruptArtifactError(checkpoint.path, "has changed since the prediction was planned")
        hardware = _hardware(options["device"], worker) if "torch" in engine_of(checkpoint) else processor()
        self._predictor = Predictor.of_checkpoint(checkpoint, root=job.model.root, **options)
        self._computed_on = f"{self._predictor.engine} on {hardware}"

    def write(self, shard: int, on_event: EventHandler = ignore) -> BulkPart:
        """Compute a part and its marker; an older part is replaced.

        Raises:
            DataFileError: an input has changed since it was planned, or has a fault.
        """
        folder, plan = self._folder, self._folder.plan
        source = TextSource(
            self._rows(shard),
            "text",
            None if plan.columns is None else (*_IDS, *self._own_columns()),
            plan.shard_rows(shard),
            arrow_schema=self._arrow_schema() if plan.format == "parquet" else None,
        )
        format: Any = plan.format
        statistics = predict_to_file(
            self._predictor,
            source,
            folder.part(shard),
            format=format,
            most=plan.decision["top_k"],
            formula_safe=plan.formula_safe,
            on_event=on_event,
        )
        part = BulkPart(
            schema_version=SCHEMA_VERSION,
            shard=shard,
            name=plan.part_name(shard),
            rows=plan.shard_rows(shard),
            run=plan.run,
            model_sha256=plan.model_sha256,
            inputs=list(plan.rows_of_shard(shard)),
            plan_sha256=folder.plan_sha256,
            file=FileEntry.of(folder.part(shard)),
            statistics=statistics,
            computed_on=self._computed_on,
        )
        part.write(folder.marker(shard))
        return part

    def _rows(self, shard: int) -> Iterator[TextRow]:
        for piece in self._folder.plan.rows_of_shard(shard):
            yield from self._rows_of(piece)

    def _rows_of(self, piece: InputRows) -> Iterator[TextRow]:
        location, plan = self._job.locations[piece.name], self._folder.plan
        is_text = plan.format == "parquet" and not plan.is_typed
        number = piece.start
        with open_texts(location, start=piece.start, **plan.reading) as source:
            assert source.stored
            if sha256_file(source.stored()) != piece.sha256:
                raise DataFileError(shown_source(location), "has changed since the prediction was planned")
            for row in islice(source.rows, piece.stop - piece.start):
                own = {name: cell for name, cell in row.columns.items() if name not in _IDS}
                if is_text:
                    columns = self._own_columns()
                    own = dict(
                        zip(columns, own_cells(TextRow(row.text, own, row.line), columns), strict=True)
                    )
                yield TextRow(row.text, {FILE_COLUMN: piece.name, ROW_COLUMN: number, **own}, row.line)
                number += 1
        if number != piece.stop:
            raise DataFileError(shown_source(location), f"has {number} rows, the plan {piece.stop} or more")

    def _own_columns(self) -> list[str]:
        return [name for name in self._folder.plan.columns or () if name not in _IDS]

    def _arrow_schema(self) -> Any:
        """The types of ids and columns; text if the inputs have no types."""
        import pyarrow

        types = {name: pyarrow.string() for name in self._own_columns()}
        plan = self._folder.plan
        if plan.is_typed:
            pieces = [piece.name for piece in plan.rows_of_shard(0)] or [plan.inputs[0].name]
            with open_texts(self._job.locations[pieces[0]], **plan.reading) as source:
                types = {name: source.arrow_schema.field(name).type for name in types}
        return pyarrow.schema({FILE_COLUMN: pyarrow.string(), ROW_COLUMN: pyarrow.int64(), **types})


def _hardware(device: str, worker: int | None) -> str:
    """What the model computes on from now on, for people; one of several workers has taken its GPU."""
    from goemo_cli.ml.models.devices import describe_device, pick_device

    place = pick_device(device)
    if place.type == "cuda" and worker is not None:
        take_gpu(worker)
    return processor() if place.type == "cpu" else describe_device(place)

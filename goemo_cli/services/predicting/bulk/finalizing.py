"""Finalize a bulk prediction: check that each row of the inputs is in the parts once, and write the manifest."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from goemo_cli.core.documents.bulk import BatchStatistics, BulkManifest, BulkPart, BulkPlan
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError
from goemo_cli.core.events import EventHandler, Warning, progress
from goemo_cli.core.files import partial_paths
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.services.data.readers import open_data
from goemo_cli.services.predicting.bulk.folder import BulkFolder
from goemo_cli.services.predicting.bulk.plans import FILE_COLUMN, ROW_COLUMN

_MOST_NAMED = 5
_Id = tuple[str, int]


def finalize(output: Path, on_event: EventHandler) -> BulkManifest:
    """Check all parts and write the manifest; what killed processes left is removed.

    Raises:
        NotFoundError: no plan, or parts are missing.
        CorruptArtifactError: a part differs from its marker, or its rows are not those of the plan.
    """
    folder = BulkFolder(output)
    if not folder.plan_file.exists():
        raise NotFoundError(f"--output {output}: no plan of a bulk prediction ({folder.plan_file})")
    plan = folder.plan
    if missing := folder.missing():
        more = ", ..." if len(missing) > _MOST_NAMED else ""
        named = ", ".join(map(str, missing[:_MOST_NAMED]))
        raise NotFoundError(f"{output}: {len(missing)} of {plan.shards} parts are missing: {named}{more}")
    if strange := next(folder.strange_parts(), None):
        raise CorruptArtifactError(strange, "is not a part of this prediction, and would be read as one")
    parts = []
    with progress(on_event, "Checking the parts", plan.rows, "rows") as advance:
        for shard in range(plan.shards):
            parts.append(_checked_part(folder, shard))
            advance(plan.shard_rows(shard))
    computed_on = sorted({part.computed_on for part in parts})
    if len(computed_on) > 1:
        on_event(
            Warning(
                f"parts were computed on {' and '.join(computed_on)}: last digits of probabilities can differ"
            )
        )
    manifest = BulkManifest(
        schema_version=SCHEMA_VERSION,
        run=plan.run,
        model_sha256=plan.model_sha256,
        decision=plan.decision,
        format=plan.format,
        rows=plan.rows,
        shards=plan.shards,
        inputs=plan.inputs,
        parts={part.name: part.file for part in parts},
        plan_sha256=folder.plan_sha256,
        statistics=sum((part.statistics for part in parts), BatchStatistics()),
        computed_on=computed_on,
    )
    manifest.write(folder.manifest)
    for left in partial_paths(folder.path):
        left.unlink(missing_ok=True)
    return manifest


def _checked_part(folder: BulkFolder, shard: int) -> BulkPart:
    part, path = BulkPart.read(folder.marker(shard)), folder.part(shard)
    part.file.require(path)
    expected, found = _planned_ids(folder.plan, shard), _ids_in(path, folder.plan)
    for number, (wanted, there) in enumerate(zip_longest(expected, found), start=1):
        if wanted != there:
            raise CorruptArtifactError(
                path, f"row {number} is {_shown(there)}, the plan says {_shown(wanted)}"
            )
    return part


def _planned_ids(plan: BulkPlan, shard: int) -> Iterator[_Id]:
    for piece in plan.rows_of_shard(shard):
        yield from ((piece.name, row) for row in range(piece.start, piece.stop))


def _ids_in(path: Path, plan: BulkPlan) -> Iterator[_Id]:
    if plan.format == "parquet":
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(path) as content:
            for batch in content.iter_batches(columns=[FILE_COLUMN, ROW_COLUMN]):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return
    with open_data(path, "prediction") as table:
        for _, record in table.rows:
            name = record[FILE_COLUMN]
            if plan.formula_safe:
                name = name.removeprefix("'")
            yield name, int(record[ROW_COLUMN])


def _shown(id: _Id | None) -> str:
    return "missing" if id is None else f"{id[0]} row {id[1]}"

"""`goemo data audit`: repeated texts, contradictions and doubtful labels of a data set, as a work list and a page."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.audit import AuditRecord, RowsScored
from goemo_cli.core.documents.metrics import DataFacts, RuleScores
from goemo_cli.core.errors import BusyError, DataError
from goemo_cli.core.events import EventHandler, FileWritten, Info, Warning, ignore, progress, working
from goemo_cli.core.files import sha256_file, write_sealed_json, write_text
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.layering import nested
from goemo_cli.core.layout import AuditFiles, Layout
from goemo_cli.core.names import data_slug
from goemo_cli.core.schema import SCHEMA_VERSION, ListedKind
from goemo_cli.core.settings import DataSettings, TrainConfig
from goemo_cli.ml.data.dataset import Dataset, Place
from goemo_cli.ml.data.repeated import Repetitions, contradictions, repetitions
from goemo_cli.ml.metrics.scoring import score_split
from goemo_cli.services.audit.label_doubts import doubted_rows, out_of_fold_probabilities
from goemo_cli.services.audit.page import audit_page
from goemo_cli.services.data.find import load_data
from goemo_cli.services.data.work_list import (
    EXCLUDE,
    MEANINGS,
    ListedRow,
    work_list_cells,
    write_work_list,
)
from goemo_cli.services.runs.run_predictions import read_recorded, require_predictions

TFIDF = "tfidf, out of fold"


@dataclass(frozen=True)
class AuditResult:
    """What was found, and where it was written."""

    record: AuditRecord
    files: AuditFiles


def audit_data(
    settings: DataSettings,
    *,
    layout: Layout,
    checkpoint: Checkpoint | None = None,
    name: str | None = None,
    near: bool = True,
    max_labels: int = 1000,
    exclude: Collection[ListedKind] = (),
    stdin: BinaryIO | None = None,
    on_event: EventHandler = ignore,
) -> AuditResult:
    """Examine a data set and write a work list, a page and a record. The data is not changed.

    Labels of train are rated by a tfidf model that is trained on the other folds; with a run, labels of val by its
    probabilities instead. Labels of test are not rated.

    Args:
        settings: what to read.
        layout: where to write.
        checkpoint: a run on this data; its test scores are also computed without the rows of test that are in train.
        name: of the folder below output/audit/; by default that of the data, with a run `{data}-{run}`.
        near: look for similar texts too.
        max_labels: rows of the kind label that are listed, lowest quality first.
        exclude: kinds of which rows of train get the action exclude.
        stdin: standard input, for the data `-`.
        on_event: called with each event.

    Raises:
        DataError, NotFoundError: the data cannot be used; it is not that of the run; a package is missing.
        BusyError: the work list was edited since it was written.
    """
    whole = settings.model_copy(update={"exclude_audited": None, "max_train_samples": None})
    data = load_data(whole, root=layout.root, stdin=stdin, on_event=on_event)
    on_event(Info(f"Data: {data.source}"))
    files = layout.audit(data_slug(name or f"{data.name}{f'-{checkpoint.run}' if checkpoint else ''}"))
    _require_unedited(files)
    _require_same_data(data, checkpoint)
    n_texts = sum(len(data.splits[split]) for split in SPLITS)
    with progress(on_event, "Looking for repeated texts", n_texts, "texts") as advance:
        repeated = repetitions(data, near=near, on_progress=advance)
    found = [ListedRow(row.kind, row.place, row.similarity, row.partner) for row in repeated.rows]
    found += _contradictions(data)
    doubts = _doubts(data, checkpoint, settings, layout, on_event)
    counts = _counts([*found, *doubts])
    listed = [
        replace(row, action=EXCLUDE) if row.kind in exclude and row.place.split == "train" else row
        for row in [*found, *doubts[:max_labels]]
    ]
    listed.sort(key=_reading_order)
    scores: list[RowsScored] = []
    if checkpoint:
        with working(on_event, "Scoring test without the rows that are in train"):
            scores = leaked_scores(checkpoint, repeated, layout)
    record = AuditRecord(
        schema_version=SCHEMA_VERSION,
        data=DataFacts.model_validate(data.facts()),
        counts=counts,
        listed=len(listed),
        excluded=len({row.place for row in listed if row.action == EXCLUDE}),
        leaked_test_rows=int(repeated.leaked.sum()),
        nearly_leaked_test_rows=int(repeated.nearly_leaked.sum()) if near else None,
        probabilities=f"{checkpoint.run}, on val" if checkpoint else TFIDF,
        run=str(checkpoint.run) if checkpoint else None,
        scores=scores,
        sources=_sources(checkpoint, layout),
        work_list_sha256="",
        files={},
    )
    return _write(files, record, listed, data, on_event)


def audited_settings(given: Mapping[str, Any], checkpoint: Checkpoint | None = None) -> DataSettings:
    """The data to audit: that of a run, with the settings that were given.

    Args:
        given: dotted names with their values.
        checkpoint: the run.

    Raises:
        SettingError: values that do not fit.
    """
    own: dict[str, Any] = {}
    if checkpoint:
        recorded = checkpoint.config.data
        own = recorded.model_dump(exclude_defaults=True, exclude={"exclude_audited", "max_train_samples"})
        own["name"] = recorded.name or checkpoint.metrics.data.name
    layers = [("command line", nested(name, value)) for name, value in given.items()]
    return TrainConfig.from_layers((str(checkpoint and checkpoint.run), {"data": own}), *layers).data


def leaked_scores(checkpoint: Checkpoint, repeated: Repetitions, layout: Layout) -> list[RowsScored]:
    """Test scores of a run with and without the rows whose text is in train. Parts without rows are left out.

    Raises:
        NotFoundError, DataFileError: its test predictions are missing, or are not those of the run.
    """
    test = read_recorded(checkpoint, "test", layout)
    anywhere = repeated.leaked | repeated.nearly_leaked
    parts = {
        "all": repeated.leaked | True,
        "without_leaks": ~repeated.leaked,
        "without_near_leaks": ~anywhere,
        "only_leaks": anywhere,
    }
    found = []
    for name, chosen in parts.items():
        if chosen.any():
            scores = score_split(test.y_true[chosen], test.y_prob[chosen], checkpoint.rules).summary
            own = RuleScores.model_validate(scores[checkpoint.rules.rule])
            found.append(RowsScored(rows=name, n=int(chosen.sum()), scores=own))
    return found


def _require_unedited(files: AuditFiles) -> None:
    """An edited list has decisions of the user, which no later audit may replace."""
    if not files.work_list.is_file():
        return
    written = AuditRecord.read(files.record).work_list_sha256 if files.record.is_file() else None
    if written != sha256_file(files.work_list):
        raise BusyError(
            f"{files.work_list} was edited since it was written: move it, or give another --name, and audit again"
        )


def _require_same_data(data: Dataset, checkpoint: Checkpoint | None) -> None:
    if checkpoint is None:
        return
    recorded = checkpoint.metrics.data.split_sha256
    for split in SPLITS:
        if split != "train" and data.splits[split].sha256() != recorded.of(split):
            raise DataError(
                f"{data.source}: the {split} split is not the one {checkpoint.run} was trained with"
            )


def _contradictions(data: Dataset) -> list[ListedRow]:
    return [
        ListedRow(
            "contradiction", Place(split, row.row), row.agreement, Place(split, row.partner), row.majority
        )
        for split in SPLITS
        if split != "test"
        for row in contradictions(data.splits[split])
    ]


def _doubts(
    data: Dataset,
    checkpoint: Checkpoint | None,
    settings: DataSettings,
    layout: Layout,
    on_event: EventHandler,
) -> list[ListedRow]:
    """Rows with probably wrong labels, lowest quality first: of val by a run, else of train."""
    single_label = settings.single_label
    split: Split = "val" if checkpoint else "train"
    if checkpoint:
        y_prob = read_recorded(checkpoint, "val", layout).y_prob
        single_label = checkpoint.rules.is_single_label
    else:
        try:
            y_prob = out_of_fold_probabilities(data, single_label=single_label, on_event=on_event)
        except DataError as error:
            on_event(Warning(f"labels were not rated: {error}"))
            return []
    found = doubted_rows(data.splits[split].y_true, y_prob, single_label=single_label)
    return [
        ListedRow("label", Place(split, int(row)), float(quality), suggested=suggested)
        for row, quality, suggested in zip(found.rows, found.quality, found.suggested, strict=True)
    ]


def _counts(rows: Sequence[ListedRow]) -> dict[str, dict[str, int]]:
    found = Counter((row.kind, row.place.split) for row in rows)
    return {kind: {split: found[kind, split] for split in SPLITS} for kind in MEANINGS}


def _reading_order(row: ListedRow) -> tuple[int, float, int, int]:
    """By kind; doubtful labels first, similar texts last; then in the order of the data."""
    score = -row.score if row.kind in ("near_leak", "near_duplicate") else row.score
    return list(MEANINGS).index(row.kind), score, SPLITS.index(row.place.split), row.place.row


def _sources(checkpoint: Checkpoint | None, layout: Layout) -> dict[str, str]:
    if checkpoint is None:
        return {}
    paths = [require_predictions(checkpoint, split, layout) for split in ("val", "test")]
    return {layout.shown(path): sha256_file(path) for path in paths}


def _write(
    files: AuditFiles, record: AuditRecord, listed: Sequence[ListedRow], data: Dataset, on_event: EventHandler
) -> AuditResult:
    """The list, then the page, then the record that names both."""
    cells = list(work_list_cells(listed, data))
    write_work_list(files.work_list, cells)
    write_text(files.page, audit_page(record, cells))
    hashes = {
        "work_list_sha256": sha256_file(files.work_list),
        "files": {files.page.name: sha256_file(files.page)},
    }
    record = record.model_copy(update=hashes)
    write_sealed_json(files.record, record.as_json())
    for path in (files.work_list, files.page, files.record):
        on_event(FileWritten(path))
    return AuditResult(record, files)

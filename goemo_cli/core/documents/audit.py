"""audit.json: what `goemo data audit` counted in a data set."""

from pydantic import Field

from goemo_cli.core.documents.base import Document
from goemo_cli.core.documents.metrics import DataFacts, RuleScores
from goemo_cli.core.schema import SCHEMA_VERSION


class RowsScored(Document):
    """Test scores of a run on a part of the rows."""

    rows: str
    """all, without_leaks, without_near_leaks or only_leaks."""
    n: int = Field(ge=0)
    scores: RuleScores
    """By the rule of the run, each with its 95 % interval."""


class AuditRecord(Document):
    """The result of an audit."""

    schema_version: int = SCHEMA_VERSION
    data: DataFacts
    counts: dict[str, dict[str, int]]
    """The number of rows found, by kind and split."""
    listed: int = Field(ge=0)
    """Rows of the work list, which has not all of the kind label."""
    excluded: int = Field(ge=0)
    """Rows of the list as it was written whose action is exclude."""
    leaked_test_rows: int = Field(ge=0)
    """Rows of test whose text is in train."""
    nearly_leaked_test_rows: int | None
    """Other rows of test with a similar text in train; None if it was not looked for."""
    probabilities: str
    """What rated the labels: `tfidf, out of fold`, or a run."""
    run: str | None = None
    """The run whose predictions were used."""
    scores: list[RowsScored] = Field(default_factory=list)
    """Of the run, with and without the rows of test that are in train."""
    sources: dict[str, str]
    """SHA-256 of predictions of the run, by path from the root."""
    work_list_sha256: str
    """Of the list as it was written; the user edits it."""
    files: dict[str, str]
    """SHA-256 of the page, by name."""

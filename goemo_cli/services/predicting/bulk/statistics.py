"""Statistics of predictions as records of parts keep them."""

from dataclasses import asdict

from goemo_cli.core.documents.bulk import BulkStatistics
from goemo_cli.services.predicting.predictor import BatchStatistics


def as_document(statistics: BatchStatistics) -> BulkStatistics:
    """Statistics for records."""
    values = asdict(statistics)
    return BulkStatistics(**{**values, "label_counts": dict(statistics.label_counts or {})})


def as_statistics(document: BulkStatistics) -> BatchStatistics:
    """Statistics of records."""
    return BatchStatistics(**document.model_dump())

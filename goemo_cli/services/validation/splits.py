"""What a run recorded of its data, against the published GoEmotions splits."""

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.labels import SPLITS
from goemo_cli.ml.data.goemotions import SPLIT_SHA256, moved_label
from goemo_cli.services.validation.report import ValidationReport


def check_recorded_splits(checkpoint: Checkpoint, report: ValidationReport) -> None:
    """A run on GoEmotions recorded the splits as they were published; train only where it was not cut, nothing where labels were rolled up.

    Data of one's own has no such second source: its predictions are compared with what the run recorded.
    """
    data, settings = checkpoint.metrics_json["data"], checkpoint.config.data
    published = [split for split in SPLITS if data["split_sha256"][split] == SPLIT_SHA256[split]]
    moved = moved_label(checkpoint.labels) if published else None
    report.check(
        "label names as published",
        checkpoint.path / METRICS,
        holds=moved is None,
        otherwise=f"{', '.join(published)} has the rows of GoEmotions, but the label {moved!r} is not in its published place",
    )
    if settings.name != "goemotions" or data["name"] != "goemotions" or settings.taxonomy:
        return
    whole = [split for split in SPLITS if split != "train" or settings.max_train_samples is None]
    odd = [split for split in whole if data["split_sha256"][split] != SPLIT_SHA256[split]]
    report.check(
        "splits as published",
        checkpoint.path / METRICS,
        holds=not odd,
        otherwise=f"texts, gold labels or order of {', '.join(odd)} are not those of the published GoEmotions files",
    )

"""What a student learns from its teacher: the probabilities of a finished run, computed once and kept as a file."""

import sys

import numpy as np

from goemo_cli.core.arrays import split_sha256
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import Lesson
from goemo_cli.core.errors import SettingError, first_names
from goemo_cli.core.events import EventHandler, FileWritten, Info, Warning, progress, working
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import Dataset, without_surrogates
from goemo_cli.ml.data.leaks import normalised
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.ml.training.distillation import SoftLabels, Taught, softened
from goemo_cli.services.predicting.sources import open_texts
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.teacher_files import (
    probabilities_sha256,
    read_probabilities,
    write_probabilities,
)


def open_teacher(config: TrainConfig, data: Dataset, layout: Layout, on_event: EventHandler) -> Checkpoint:
    """The teacher that the settings name, which fits the data.

    Raises:
        NotFoundError: no such run.
        SettingError: it has other labels, or another kind of them; a model that cannot learn from a teacher.
    """
    if model_entry(config.model.name).kind == "tfidf":
        raise SettingError([f"distillation.teacher: {config.model.name} learns gold labels only"])
    teacher = open_run(str(config.distillation.teacher), layout, on_event)
    if missing := [label for label in data.labels if label not in teacher.labels]:
        raise SettingError(
            [
                f"distillation.teacher: {teacher.run} does not have the labels {first_names(missing)} of the data"
            ]
        )
    is_single_label = teacher.rules.is_single_label
    if is_single_label != config.data.single_label or (
        is_single_label and len(teacher.labels) != len(data.labels)
    ):
        kind = "one label" if is_single_label else "any number of labels"
        raise SettingError(
            [f"distillation.teacher: {teacher.run} predicts {kind} of {len(teacher.labels)} for each text"]
        )
    return teacher


def teach(config: TrainConfig, data: Dataset, layout: Layout, on_event: EventHandler) -> Taught | None:
    """The probabilities of the teacher for all texts that a student learns; None if the settings name no teacher.

    They are computed once for a teacher and its texts. Later trainings read the file.

    Raises:
        NotFoundError, SettingError, DataFileError: the teacher or the file with more texts cannot be used.
        CorruptArtifactError: the teacher or the file with its probabilities is damaged.
    """
    settings = config.distillation
    if settings.teacher is None:
        return None
    teacher = open_teacher(config, data, layout, on_event)
    _warn_of_leaks(teacher, data, on_event)
    more = _unlabelled(config, data, on_event)
    texts = [*data.train.texts, *more]
    digest = split_sha256(texts, np.zeros((len(texts), 0), dtype=np.bool_))
    path = layout.teacher_probabilities(teacher.run, digest)
    facts = {"teacher": str(teacher.run), "texts": digest, "labels": "\n".join(teacher.labels)}
    if path.is_file():
        y_prob = read_probabilities(path, facts)
        on_event(
            Info(f"Teacher: {teacher.run}, probabilities of {len(texts):,} texts in {layout.shown(path)}")
        )
    else:
        with working(on_event, "Loading the teacher"):
            classifier = load_classifier(teacher, device=config.training.device)
        with progress(on_event, "Predicting with the teacher", len(texts)) as advance:
            y_prob = classifier.predict_proba(texts, advance)
        write_probabilities(path, y_prob, facts)
        on_event(FileWritten(path))
    own = y_prob[:, [teacher.labels.index(label) for label in data.labels]]
    soft = softened(own, settings.temperature, is_single_label=config.data.single_label)
    return Taught(
        more,
        SoftLabels(soft, len(data.train), settings.weight, settings.temperature, config.data.single_label),
        Lesson(
            teacher=str(teacher.run),
            weight=settings.weight,
            temperature=settings.temperature,
            unlabelled=len(more),
            probabilities=layout.shown(path),
            sha256=probabilities_sha256(y_prob),
        ),
    )


def _warn_of_leaks(teacher: Checkpoint, data: Dataset, on_event: EventHandler) -> None:
    """Warn of a teacher that may have learned the texts that the student is scored on."""
    if teacher.is_unscored:
        on_event(
            Warning(
                f"it is not known what {teacher.run} was trained on: if texts of val or test were part of it, "
                "the scores of the student are too good"
            )
        )
        return
    learned = teacher.metrics.data.split_sha256
    if (learned.val, learned.test) != (data.val.sha256(), data.test.sha256()):
        on_event(
            Warning(
                f"{teacher.run} was trained on other data ({teacher.metrics.data.name}): if texts of val or test are "
                "part of it, the scores of the student are too good"
            )
        )


def _unlabelled(config: TrainConfig, data: Dataset, on_event: EventHandler) -> list[str]:
    """The texts without gold labels, each once, without those of train, val and test."""
    path = config.distillation.unlabelled
    if path is None:
        return []
    known = {normalised(text) for rows in data.splits.values() for text in rows.texts}
    found: list[str] = []
    with working(on_event, f"Reading {path}"):
        read = 0
        column = None if config.data.text_column == "text" else config.data.text_column
        with open_texts(
            path, stdin=sys.stdin.buffer, encoding=config.data.encoding, text_column=column
        ) as source:
            for row in source.rows:
                read += 1
                text = without_surrogates(row.text)
                if (key := normalised(text)) and key not in known:
                    known.add(key)
                    found.append(text)
    if not found:
        raise SettingError([f"distillation.unlabelled: {path} has no text that is not in the data already"])
    left_out = read - len(found)
    note = (
        f"; {left_out:,} left out that are empty, twice there, or in train, val or test" if left_out else ""
    )
    on_event(Info(f"Unlabelled: {len(found):,} texts of {path}{note}"))
    return found

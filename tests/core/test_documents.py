"""Documents: read and written without a change, one kind of error for a wrong value, headlines from metrics."""

from pathlib import Path

from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.documents.metrics import Metrics, Score
from goemo_cli.core.files import dump_json, write_json
from goemo_cli.core.schema import RANKING_KEYS, RULE_KEYS, SCORE_KEYS
from tests.metrics_documents import EMPTY_METRICS, data_facts, epoch_scores
from tests.synthetic_runs import scores


def metrics_with(**values: object) -> Metrics:
    return Metrics.model_validate({**EMPTY_METRICS, **values})


def test_a_document_is_written_as_it_was_read(tmp_path: Path) -> None:
    """Keys that are not set stay absent; those of a newer version stay."""
    values = {**EMPTY_METRICS, "test": scores(0.5), "from_a_newer_version": {"a": [1, None]}}
    write_json(tmp_path / "metrics.json", values)
    Metrics.read(tmp_path / "metrics.json").write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == dump_json(values)


def test_scores_are_found_by_rule_and_name() -> None:
    metrics = metrics_with(threshold_rule="global", test=scores(0.4, auc_micro=0.9))
    assert metrics.test.rule("per_label").score("f1_macro") == Score(0.4, 0.2, 0.4)
    assert metrics.test_rule.value("f1_macro") == 0.2  # scores() gives the other rules half of per_label's
    assert metrics.test.score("auc_micro") == Score(0.9, None, None)
    assert metrics.split("val").score("lrap") == Score(None, None, None)


def test_the_headline_has_the_scores_of_the_runs_own_rule() -> None:
    values = {"val": scores(0.6), "test": scores(0.4, auc_micro=0.9)}
    headline = Headline.of(metrics_with(threshold_rule="global", **values))
    assert headline.val["f1_macro"] == 0.3
    assert Headline.of(metrics_with(threshold_rule="per_label", **values)).val["f1_macro"] == 0.6
    assert headline.test["auc_micro"] == 0.9
    assert tuple(headline.val) == SCORE_KEYS == (*RANKING_KEYS, *RULE_KEYS)
    assert headline.scores("train") == {}


def test_the_headline_names_data_seed_and_epochs() -> None:
    data = data_facts(name="mine", sizes={"train": 9}, split_sha256={"val": "v", "test": "t"})
    history = [epoch_scores(epoch) for epoch in (1, 2, 3)]
    headline = Headline.of(
        metrics_with(seed=5, best_epoch=2, history=history, training_seconds=1.5, data=data)
    )
    assert (headline.data, headline.train_size) == ("mine", 9)
    assert (headline.val_sha256, headline.test_sha256) == ("v", "t")
    assert (headline.seed, headline.best_epoch, headline.epochs) == (5, 2, 3)
    assert headline.training_seconds == 1.5

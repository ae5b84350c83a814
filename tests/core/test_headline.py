"""Headlines: what lists of runs show, taken from metrics.json."""

from goemo_cli.core.headline import headline_of
from goemo_cli.core.schema import RANKING_KEYS, RULE_KEYS, SCORE_KEYS
from tests.synthetic_runs import scores


def test_scores_follow_the_runs_own_rule() -> None:
    metrics = {"threshold_rule": "global", "val": scores(0.6), "test": scores(0.4, auc_micro=0.9)}
    headline = headline_of(metrics)
    assert headline["val"]["f1_macro"] == 0.3  # scores() gives the other rules half of per_label's
    assert headline_of(metrics | {"threshold_rule": "per_label"})["val"]["f1_macro"] == 0.6
    assert headline["test"]["auc_micro"] == 0.9
    assert tuple(headline["val"]) == SCORE_KEYS == (*RANKING_KEYS, *RULE_KEYS)


def test_data_seed_and_epochs_are_named() -> None:
    headline = headline_of(
        {
            "seed": 5,
            "best_epoch": 2,
            "history": [{}, {}, {}],
            "training_seconds": 1.5,
            "data": {"name": "mine", "sizes": {"train": 9}, "split_sha256": {"val": "v", "test": "t"}},
        }
    )
    assert headline["data"] == "mine"
    assert headline["train_size"] == 9
    assert (headline["val_sha256"], headline["test_sha256"]) == ("v", "t")
    assert (headline["seed"], headline["best_epoch"], headline["epochs"]) == (5, 2, 3)
    assert headline["training_seconds"] == 1.5


def test_what_older_metrics_lack_is_none() -> None:
    headline = headline_of({"val": None, "data": None, "history": None})
    assert headline["val"] == headline["test"] == dict.fromkeys(SCORE_KEYS)
    assert headline["data"] is None
    assert headline["epochs"] == 0

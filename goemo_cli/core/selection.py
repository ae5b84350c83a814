"""What runs may be chosen by: scores of val. A run chosen by its test score has spoiled that score."""

from goemo_cli.core.errors import SettingError


def refuse_test_score(metric: str, instead: str | None = None) -> None:
    """Refuse `test/...`.

    Args:
        metric: a score such as `val/f1_macro`.
        instead: what to choose by; the same score on val by default.

    Raises:
        SettingError: it is a score of the test split.
    """
    split, _, key = metric.partition("/")
    if split == "test":
        raise SettingError(
            [
                f"{metric}: a run chosen by its test score has spoiled that score; choose by {instead or f'val/{key}'}"
            ]
        )


def check_val_metric(metric: str) -> None:
    """Refuse what runs may not be chosen by.

    Raises:
        SettingError: a score of the test split, or none that runs have.
    """
    refuse_test_score(metric)
    split, _, key = metric.partition("/")
    if split != "val" or not key:
        raise SettingError([f"{metric!r} is no score of the val split, such as val/f1_macro or val/auc"])

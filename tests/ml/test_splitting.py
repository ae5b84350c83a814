"""Stratified splits."""

import numpy as np
import pytest

from goemo_cli.ml.data.splits import stratified_split

SHARES = (0.8, 0.1, 0.1)


def random_labels(seed: int, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((rows, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.0]


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 10, 400])
@pytest.mark.parametrize("shares", [SHARES, (0.5, 0.5), (1.0,)])
def test_every_row_is_in_one_part(rows: int, shares: tuple[float, ...]):
    parts = stratified_split(random_labels(0, rows), shares, seed=0)
    assert len(parts) == len(shares)
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    for part in parts:
        assert part.tolist() == sorted(part.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_every_part_gets_its_share_of_rows_and_of_every_label(seed: int):
    y_true = random_labels(seed)
    for part, share in zip(stratified_split(y_true, SHARES, seed=seed), SHARES, strict=True):
        assert len(part) == pytest.approx(share * len(y_true), abs=0.03 * len(y_true))
        expected = share * y_true.sum(axis=0)
        assert (abs(y_true[part].sum(axis=0) - expected) <= np.maximum(2, 0.15 * expected)).all()


def test_a_rare_label_reaches_every_part():
    y_true = np.zeros((300, 2), dtype=bool)
    y_true[:, 0] = True
    y_true[[5, 50, 100, 150, 200, 210, 220, 230, 240, 250], 1] = True
    assert [int(y_true[part, 1].sum()) for part in stratified_split(y_true, SHARES, seed=0)] == [8, 1, 1]


def test_rows_without_a_label_are_spread_too():
    y_true = np.zeros((200, 3), dtype=bool)
    y_true[:100, 0] = True
    for part, share in zip(stratified_split(y_true, SHARES, seed=1), SHARES, strict=True):
        assert (~y_true[part].any(axis=1)).sum() == pytest.approx(100 * share, abs=2)


def test_a_seed_repeats_the_split_and_another_gives_another():
    y_true = random_labels(1)

    def split(seed: int) -> list[list[int]]:
        return [part.tolist() for part in stratified_split(y_true, SHARES, seed=seed)]

    assert split(0) == split(0)
    assert split(0) != split(1)

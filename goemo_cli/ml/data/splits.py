"""Parts of one set of labelled rows: splits in which every label has its share, and random folds."""

from collections.abc import Iterator, Sequence

import numpy as np

from goemo_cli.core.arrays import BoolArray, IntArray

FOLDS = 10


def random_folds(n_rows: int, seed: int = 0) -> Iterator[tuple[BoolArray, IntArray]]:
    """The rows of all other folds, bool, (n_rows,), and those of the fold, for each of `FOLDS` random folds."""
    for held_out in np.array_split(np.random.default_rng(seed).permutation(n_rows), FOLDS):
        others = np.ones(n_rows, dtype=np.bool_)
        others[held_out] = False
        yield others, held_out


def stratified_split(y_true: BoolArray, fractions: Sequence[float], seed: int) -> list[IntArray]:
    """Row numbers of each part, by iterative stratification: rarest label first.

    Args:
        y_true: multi-hot labels, bool, (n_examples, n_labels).
        fractions: share of each part; they sum to 1.
        seed: of the order in which equal rows are dealt.

    Returns:
        One ascending array of row numbers per part; together they are all rows, each once.

    Source:
        Sechidis, Tsoumakas, Vlahavas 2011, On the Stratification of Multi-label Data, algorithm 1.
    """
    rng = np.random.default_rng(seed)
    shares = np.asarray(fractions, dtype=np.float64)
    # Rows without any label form one class, so that they are spread too.
    classes = np.column_stack([y_true, ~y_true.any(axis=1)])
    wanted_rows = shares * len(classes)
    wanted = shares[:, None] * classes.sum(axis=0)  # (n_parts, n_labels + 1)
    part_of = np.full(len(classes), -1)
    while (open_rows := part_of < 0).any():
        remaining = classes[open_rows].sum(axis=0)
        label = int(np.argmin(np.where(remaining > 0, remaining, np.iinfo(np.int64).max)))
        for row in rng.permutation(np.flatnonzero(open_rows & classes[:, label])):
            part = _neediest(wanted[:, label], wanted_rows, rng)
            part_of[row] = part
            wanted[part] -= classes[row]
            wanted_rows[part] -= 1
    return [np.flatnonzero(part_of == part) for part in range(len(shares))]


def _neediest(wanted: np.ndarray, wanted_rows: np.ndarray, rng: np.random.Generator) -> int:
    best = np.flatnonzero(wanted == wanted.max())
    best = best[wanted_rows[best] == wanted_rows[best].max()]
    return int(rng.choice(best))

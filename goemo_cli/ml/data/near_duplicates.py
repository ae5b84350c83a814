"""Texts that are almost the same: candidates by MinHash, each of which is then compared exactly."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.errors import MissingPackageError

SIMILAR = 0.7
"""Share of common pieces from which two texts are near duplicates."""
_PIECE = 4
"""Characters of a piece."""
_BANDS, _HASHES = 25, 5
"""Bands of a signature and hashes of a band. Two texts with a similarity of .7 agree in a band with a probability of 99 %."""
_BLOCK = 10_000
_WORD = re.compile(r"\w+")


def pieces(text: str) -> frozenset[str]:
    """All sequences of four characters, without punctuation; texts that differ in punctuation only have the same."""
    words = " ".join(_WORD.findall(text)) or text
    return frozenset(words[start : start + _PIECE] for start in range(max(1, len(words) - _PIECE + 1)))


def similarity(one: str, other: str) -> float:
    """The share of pieces that two texts have in common (Jaccard), in [0, 1]."""
    a, b = pieces(one), pieces(other)
    return len(a & b) / len(a | b)


def near_duplicates(
    texts: Sequence[str], on_progress: Callable[[int], None] = lambda texts: None
) -> tuple[IntArray, DoubleArray]:
    """Pairs of similar texts.

    Time grows as the number of texts: a text is compared with at most two others for each band of its signature. So
    pairs within a large group of similar texts may be missing, but each of its texts is in a pair.

    Args:
        texts: different texts, normalised.
        on_progress: called with the number of texts that have a signature since the last call.

    Returns:
        The pairs, (n_pairs, 2), each with the lower position first, in ascending order; their similarities of at least
        `SIMILAR`, (n_pairs,).

    Raises:
        MissingPackageError: datasketch is not installed.

    Source:
        Broder 1997, On the Resemblance and Containment of Documents; Leskovec, Rajaraman and Ullman 2014, Mining of
        Massive Datasets, section 3.4 (bands).
    """
    signatures = _signatures(texts, on_progress)
    candidates = [np.zeros(0, np.int64)]
    for band in range(_BANDS):
        keys = np.ascontiguousarray(signatures[:, band * _HASHES : (band + 1) * _HASHES])
        candidates.append(np.unique(_candidates(keys.view(np.dtype((np.void, 4 * _HASHES))).ravel())))
    codes = np.unique(np.concatenate(candidates))
    found = [
        (first, second, shared)
        for first, second in zip(*divmod(codes, len(texts)), strict=True)
        if (shared := similarity(texts[first], texts[second])) >= SIMILAR
    ]
    pairs = np.array([pair[:2] for pair in found], dtype=np.int64).reshape(-1, 2)
    return pairs, np.array([pair[2] for pair in found], dtype=np.float64)


def _signatures(texts: Sequence[str], on_progress: Callable[[int], None]) -> np.ndarray:
    """A MinHash signature of each text, uint32, (n_texts, hashes)."""
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise MissingPackageError(
            "datasketch", "audit", "finding near duplicates (not with --no-near)"
        ) from error
    signatures = np.zeros((len(texts), _BANDS * _HASHES), np.uint32)
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        encoded = ([piece.encode("utf-8", "surrogatepass") for piece in pieces(text)] for text in block)
        for row, found in enumerate(MinHash.generator(encoded, num_perm=_BANDS * _HASHES), start=start):
            signatures[row] = found.hashvalues
        on_progress(len(block))
    return signatures


def _candidates(keys: np.ndarray) -> IntArray:
    """Codes (first * n + second) of texts with an equal key: each with the first of its bucket and with the one before."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1]]))
    firsts = np.repeat(order[starts], np.diff([*starts, len(order)]))
    same = np.concatenate([[False], keys[order][1:] == keys[order][:-1]])
    codes: IntArray = np.concatenate(
        [
            firsts[same] * len(keys) + order[same],
            order[:-1][same[1:]] * len(keys) + order[same],
        ]
    )
    return codes

"""How many tokens texts have, by the tokenizer.json of a model; without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from goemo_cli.core.arrays import IntArray
from goemo_cli.core.errors import CorruptArtifactError, NotFoundError

TOKENIZER = "tokenizer.json"
_BATCH = 2_000


def token_counts(path: Path, texts: Sequence[str]) -> IntArray:
    """Tokens of each text before any cut, special tokens included, (n_examples,).

    Args:
        path: the tokenizer.
        texts: n_examples texts.

    Raises:
        NotFoundError: no such file.
        CorruptArtifactError: it cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is missing")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CorruptArtifactError(path, f"is not a tokenizer ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = [
        len(encoded.ids)
        for start in range(0, len(texts), _BATCH)
        for encoded in tokenizer.encode_batch_fast(texts[start : start + _BATCH])
    ]
    return np.asarray(counts, dtype=np.int64)

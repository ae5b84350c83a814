"""Texts as token ids, made once, and the batches in which models see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from goemo_cli.core.arrays import IntArray

if TYPE_CHECKING:  # encoding texts needs only tokenizers
    import torch
    from tokenizers import Tokenizer

WINDOW_BATCHES = 50
"""Batches per shuffled window: within a window comments are sorted by length, so padding nearly vanishes."""
LONG = 64
"""Characters per token that the model reads: of longer texts the beginning is encoded, if it is more than enough."""
INFERENCE_BATCH = 64
INFERENCE_TOKENS = 16_384
"""A batch holds at most this many tokens, padding included, so that long comments fit in memory too."""
PAD_TO = 4
"""Batches are as wide as a multiple of this: few shapes mean few kernels to build, and less memory in pieces."""


class FastTokenizer(Protocol):
    """A fast tokenizer of transformers, or its parts that encoding needs."""

    backend_tokenizer: "Tokenizer"
    pad_token_id: int | None
    truncation_side: str


@dataclass
class PlainTokenizer:
    """A tokenizer of the package tokenizers with what encoding needs, without transformers."""

    backend_tokenizer: "Tokenizer"
    pad_token_id: int | None
    truncation_side: str


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of texts, back to back.

    Attributes:
        tokens: all token ids, int64, (n_tokens,).
        offsets: where each text begins, and the end, int64, (n_examples + 1,).
        pad_id: the id that fills short rows.
        max_length: tokens that the model reads at most.
        n_cut: texts that were longer than the model reads.
    """

    tokens: IntArray
    offsets: IntArray
    pad_id: int
    max_length: int
    n_cut: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> IntArray:
        """Tokens of each text, (n_examples,)."""
        return np.diff(self.offsets)

    def padded(
        self, rows: Sequence[int] | IntArray, device: "torch.device | str" = "cpu"
    ) -> "dict[str, torch.Tensor]":
        """As `inputs`, as tensors on a device."""
        import torch

        return {name: torch.from_numpy(array).to(device) for name, array in self.inputs(rows).items()}

    def inputs(self, rows: Sequence[int] | IntArray) -> dict[str, IntArray]:
        """Model inputs of some rows, padded to the longest of them, rounded up: input_ids and attention_mask, (batch, tokens)."""
        lengths = self.lengths[rows]
        width = self._width(int(lengths.max()))
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        mask = np.arange(width) < lengths[:, None]
        ids[mask] = self.tokens_of(rows)
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}

    def padded_tokens(self, rows: Sequence[int] | IntArray) -> int:
        """Tokens of a batch of some rows, padding included."""
        return len(rows) * self._width(int(self.lengths[rows].max()))

    def tokens_of(self, rows: Sequence[int] | IntArray) -> IntArray:
        """The token ids of some rows, back to back."""
        return np.concatenate([self.tokens[self.offsets[row] : self.offsets[row + 1]] for row in rows])

    def batches_by_length(
        self, size: int = INFERENCE_BATCH, tokens: int = INFERENCE_TOKENS
    ) -> Iterator[IntArray]:
        """All rows, shortest first, in batches of at most `size` rows and `tokens` padded tokens.

        The same texts always give the same batches, so that probabilities repeat to the bit.
        """
        order = np.argsort(self.lengths, kind="stable")
        start = 0
        while start < len(order):
            end = start + 1
            while (
                end < len(order)
                and end - start < size
                and (end + 1 - start) * self._width(self.lengths[order[end]]) <= tokens
            ):
                end += 1
            yield order[start:end]
            start = end

    def _width(self, longest: int) -> int:
        """Tokens of a padded row in a batch with this longest text."""
        return min(max(-(-longest // PAD_TO), 1) * PAD_TO, self.max_length)

    def training_batches(self, size: int, rng: np.random.Generator) -> list[IntArray]:
        """All rows once, shuffled, in batches of rows of similar length; the last batch may be smaller.

        Args:
            size: rows per batch.
            rng: the shuffle; another state gives other batches.
        """
        order = rng.permutation(len(self))
        batches: list[IntArray] = []
        for start in range(0, len(order), size * WINDOW_BATCHES):
            window = order[start : start + size * WINDOW_BATCHES]
            window = window[np.argsort(self.lengths[window], kind="stable")]
            batches.extend(window[at : at + size] for at in range(0, len(window), size))
        return [batches[at] for at in rng.permutation(len(batches))]


def encode(tokenizer: FastTokenizer, texts: Sequence[str], max_length: int) -> EncodedTexts:
    """Token ids of texts with special tokens, cut at `max_length`.

    Args:
        tokenizer: it keeps this maximum length.
        texts: n_examples texts.
        max_length: tokens per text at most.
    """
    pad_id = tokenizer.pad_token_id or 0
    if not texts:
        return EncodedTexts(np.zeros(0, np.int64), np.zeros(1, np.int64), pad_id, max_length)
    backend = cutting(tokenizer, max_length)
    rows = backend.encode_batch([_beginning(backend, text, max_length) for text in texts])
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    return EncodedTexts(
        tokens=np.fromiter(
            (token for row in rows for token in row.ids), dtype=np.int64, count=int(lengths.sum())
        ),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=pad_id,
        max_length=max_length,
        n_cut=sum(bool(row.overflowing) for row in rows),
    )


def cutting(tokenizer: FastTokenizer, max_length: int) -> "Tokenizer":
    """The backend of a tokenizer, which cuts texts at `max_length` tokens and pads none."""
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
    backend.no_padding()
    return backend


def unknown_share(tokenizer: Any, encoded: EncodedTexts) -> float:
    """The share of tokens that the tokenizer did not know, special tokens left out; 0 without texts.

    A text without any token counts as one unknown token: some tokenizers drop what they do not know.
    """
    unknown = tokenizer.unk_token_id
    special = [token for token in tokenizer.all_special_ids if token != unknown]
    is_word = ~np.isin(encoded.tokens, special)
    before = np.concatenate([[0], np.cumsum(is_word)])[encoded.offsets]
    empty = int((np.diff(before) == 0).sum())
    total = int(is_word.sum()) + empty
    return (int((encoded.tokens == unknown).sum()) + empty) / total if total else 0.0


def _beginning(backend: "Tokenizer", text: str, max_length: int) -> str:
    """The text, or as much of it as has more tokens than the model reads: ten megabytes need not be encoded.

    It ends between two words, so that its tokens are the first ones of the whole text.
    """
    characters = LONG * max_length
    while characters < len(text):
        end = max(text.rfind(space, 0, characters) for space in " \n\t")
        # The tokenizer adds tokens; as many more are cut off.
        if end > 0 and backend.encode(text[:end]).overflowing:
            return text[:end]
        characters *= 4
    return text

"""Token ids and the batches that are made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.ml.training.batches import PAD_TO, WINDOW_BATCHES, EncodedTexts, encode


def of_lengths(lengths: list[int]) -> EncodedTexts:
    """Texts whose tokens are all different."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return EncodedTexts(np.arange(1, offsets[-1] + 1), offsets, pad_id=0, max_length=128)


lengths_of_texts = st.lists(st.integers(1, 40), min_size=1, max_size=60)


@given(lengths_of_texts, st.randoms())
def test_padded_rows_hold_exactly_their_tokens(lengths: list[int], random):
    encoded = of_lengths(lengths)
    rows = random.sample(range(len(lengths)), k=random.randint(1, len(lengths)))
    batch = encoded.padded(rows)
    width = batch["input_ids"].shape[1]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(rows), width)
    assert width % PAD_TO == 0
    assert 0 <= width - max(lengths[row] for row in rows) < PAD_TO
    for ids, mask, row in zip(batch["input_ids"].numpy(), batch["attention_mask"].numpy(), rows, strict=True):
        assert mask.tolist() == [1] * lengths[row] + [0] * (len(mask) - lengths[row])
        assert (
            ids[: lengths[row]].tolist()
            == encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
        )
        assert (ids[lengths[row] :] == 0).all()


def test_rows_are_filled_with_the_models_own_pad_id():
    encoded = EncodedTexts(np.array([5, 6, 7]), np.array([0, 1, 3]), pad_id=9, max_length=3)
    assert encoded.padded([0, 1])["input_ids"].tolist() == [[5, 9, 9], [6, 7, 9]]


@pytest.mark.parametrize(
    ("longest", "max_length", "width"), [(1, 128, 4), (4, 128, 4), (9, 128, 12), (9, 10, 10), (12, 12, 12)]
)
def test_rows_are_as_wide_as_a_multiple_and_never_wider_than_the_model_reads(
    longest: int, max_length: int, width: int
):
    encoded = EncodedTexts(np.arange(longest), np.array([0, longest]), pad_id=0, max_length=max_length)
    assert encoded.padded([0])["input_ids"].shape == (1, width)


def test_a_text_without_tokens_is_a_row_of_padding():
    encoded = EncodedTexts(np.array([5]), np.array([0, 0, 1]), pad_id=9, max_length=2)
    assert set(encoded.padded([0])["input_ids"][0].tolist()) == {9}
    assert encoded.padded([0, 1])["attention_mask"].tolist() == [[0, 0], [1, 0]]


@given(lengths_of_texts, st.integers(1, 10), st.integers(1, 200))
def test_batches_by_length_cover_all_rows_within_both_limits(lengths: list[int], size: int, tokens: int):
    encoded = of_lengths(lengths)
    batches = list(encoded.batches_by_length(size, tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        longest = max(lengths[row] for row in rows)
        assert len(rows) <= size
        assert len(rows) == 1 or longest * len(rows) <= tokens
    assert [lengths[row] for rows in batches for row in rows] == sorted(lengths)
    assert [rows.tolist() for rows in batches] == [
        rows.tolist() for rows in encoded.batches_by_length(size, tokens)
    ]


@given(lengths_of_texts, st.integers(1, 20), st.integers(0, 99))
def test_training_batches_cover_every_row_once(lengths: list[int], size: int, seed: int):
    batches = of_lengths(lengths).training_batches(size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert sum(len(rows) < size for rows in batches) <= 1


def test_training_batches_of_another_epoch_are_others_and_a_seed_repeats_them():
    encoded = of_lengths(np.random.default_rng(0).integers(3, 40, 500).tolist())

    def batches(epoch: int) -> list[list[int]]:
        return [rows.tolist() for rows in encoded.training_batches(16, np.random.default_rng([7, epoch]))]

    assert batches(1) == batches(1)
    assert batches(1) != batches(2)
    assert {tuple(sorted(rows)) for rows in batches(1)} != {tuple(sorted(rows)) for rows in batches(2)}


def test_sorted_windows_waste_little_padding_and_short_texts_do_not_come_first():
    lengths = np.random.default_rng(1).lognormal(2.8, 0.5, 32 * WINDOW_BATCHES * 2).astype(int).clip(3, 128)
    encoded = of_lengths(lengths.tolist())
    batches = encoded.training_batches(32, np.random.default_rng(0))
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.10 * lengths.sum()  # unsorted: about 2.2 times
    means = [lengths[rows].mean() for rows in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.3


def test_encoding_is_the_tokenizers_own(make_tiny, comments):
    tokenizer, texts = make_tiny().tokenizer, comments[0]
    encoded = encode(tokenizer, texts, 32)
    assert len(encoded) == len(texts)
    for row, text in enumerate(texts):
        tokens = encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
        assert tokens == tokenizer(text)["input_ids"]
    theirs = tokenizer(texts, padding=True, pad_to_multiple_of=PAD_TO, return_tensors="np")
    ours = encoded.padded(range(len(texts)))
    assert np.array_equal(ours["input_ids"], theirs["input_ids"])
    assert np.array_equal(ours["attention_mask"], theirs["attention_mask"])


def test_long_texts_are_cut_and_counted(make_tiny):
    tokenizer = make_tiny().tokenizer
    encoded = encode(tokenizer, ["happy " * 50, "happy", "sad " * 6], 8)
    assert encoded.lengths.tolist() == [8, 3, 8]
    assert encoded.n_cut == 1
    assert encoded.tokens[7] == tokenizer.sep_token_id


@pytest.mark.parametrize("text", ["", "   ", "\x00", "😀", "\u200b", "x" * 5000])
def test_any_text_has_at_least_its_special_tokens(make_tiny, text: str):
    assert encode(make_tiny().tokenizer, [text], 16).lengths[0] >= 2

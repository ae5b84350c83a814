"""Label cells as people bring them, from any file format: names, lists in text, mappings, numbers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.errors import DataError
from goemo_cli.ml.data.label_cells import is_one, read_label_cells, separator_into, separator_within, shown

NAMES = ("joy", "anger", "fear")


def read(*cells: Any, **options: Any) -> list[list[str]]:
    return read_label_cells(cells, fault=lambda at, reason: DataError(f"row {at}: {reason}"), **options).names


def refused(*cells: Any, **options: Any) -> str:
    with pytest.raises(DataError) as raised:
        read(*cells, **options)
    return str(raised.value)


@pytest.mark.parametrize("cell", [None, float("nan"), "", "  ", [], (), "[]", "()", "{}", "set()", "array([], dtype=object)", np.array([])])  # fmt: skip
def test_nothing_is_no_label(cell: Any):
    assert read(cell, "joy") == [[], ["joy"]]


@pytest.mark.parametrize(
    "cell",
    [
        "joy,anger",
        " joy , anger ",
        "joy,anger,joy",
        ["joy", "anger"],
        ("joy ", " anger"),
        np.array(["joy", "anger"]),
        np.array(["joy", "anger"], dtype=object),
        "['joy', 'anger']",
        '["joy", "anger"]',
        "('joy', 'anger',)",
        "['joy' 'anger']",
        "['joy'\n 'anger']",
        "array(['joy', 'anger'], dtype='<U5')",
        "array(['joy', 'anger'], dtype=object)",
        "[np.str_('joy'), np.str_('anger')]",
        "[u'joy', u'anger']",
        "[joy, anger]",
        "\"['joy', 'anger']\"",
        '"[\\"joy\\", \\"anger\\"]"',
        '"joy,anger"',
        '"joy", "anger"',
        "'joy','anger'",
        {"joy": 1, "anger": 1.0, "fear": 0},
        {"joy": True, "anger": "1", "fear": None},
        [("joy", 1), ("anger", True), ("fear", 0)],
        "{'joy': 1, 'anger': 1.0, 'fear': 0.0}",
        '{"joy": true, "anger": true, "fear": false}',
        "{joy: true, anger: 1}",
    ],
)
def test_a_cell_of_names(cell: Any):
    assert read(cell) == [["joy", "anger"]]


@pytest.mark.parametrize("cell", [{"b", "a"}, frozenset("ab"), "{'a', 'b'}", "frozenset({'a', 'b'})", "set(['a', 'b'])"])  # fmt: skip
def test_a_set_of_names(cell: Any):
    assert read(cell) == [["a", "b"]]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("['it\\'s']", ["it's"]),
        ('["it\'s", "caf\\u00e9"]', ["it's", "café"]),
        ("it's", ["it's"]),
        ("['a\\d']", ["a\\d"]),
        ("(none)", ["(none)"]),
        ("(joy) and (anger)", ["(joy) and (anger)"]),
        ("[very happy]", ["very happy"]),
        ("[sad] mixed", ["[sad] mixed"]),
        ("18-25", ["18-25"]),
        ("007", ["007"]),
        ("None", ["None"]),
    ],
)
def test_odd_names_stay(cell: str, names: list[str]):
    assert read(cell, "joy")[0] == names


@pytest.mark.parametrize(
    ("separator", "cell"),
    [
        ("|", "joy|very sad"),
        ("|", ["joy|very sad"]),
        ("; ", "joy;very sad"),
        (", ", "joy,  very sad"),
        ("\n", "joy\nvery sad\n"),
        ("::", "joy :: very sad"),
        ("\t", "joy\tvery sad"),
    ],
)
def test_another_separator(separator: str, cell: Any):
    assert read(cell, separator=separator) == [["joy", "very sad"]]


def test_a_space_as_separator():
    assert read("joy  anger ", "[ 'joy'  'anger']", separator=" ") == [["joy", "anger"]] * 2


@pytest.mark.parametrize(
    "cells",
    [
        ([0, 2], [1]),
        ("[0, 2]", "[1]"),
        ("[ 0  2]", "[1]"),
        ("[np.int64(0), np.int64(2)]", "[np.int64(1)]"),
        ("array([0, 2])", "array([1], dtype=int32)"),
        (np.array([0, 2]), np.array([1])),
        ([0.0, 2.0], [1.0]),
        ("0,2", "1"),
        ("0, 2", "1.0"),
        (["0", "2"], ["1"]),
        ([True, False, True], [False, True, False]),
        ([1.0, 0.0, 1.0], [0.0, 1.0, 0.0]),
        ("[1, 0, 1]", "[0, 1, 0]"),
        ("[1. 0. 1.]", "[0. 1. 0.]"),
        ("tensor([1., 0., 1.])", "tensor([0., 1., 0.], device='cuda:0')"),
        (np.array([1, 0, 1]), np.array([0, 1, 0])),
        ("1,0,1", "0,1,0"),
        ("[True, False, True]", "[false, true, false]"),
    ],
)
def test_numbers_with_a_list_of_names(cells: tuple[Any, Any]):
    assert read(*cells, names=NAMES) == [["joy", "fear"], ["anger"]]
    assert "--labels-file" in refused(*cells)


@pytest.mark.parametrize(
    ("cells", "names", "labels"),
    [
        ((3, np.int64(1), 2.0, "0"), ("a", "b", "c", "d"), [["d"], ["b"], ["c"], ["a"]]),
        (("4", "5.0"), ("1", "2", "3", "4", "5"), [["4"], ["5"]]),
        (([0], [1], [0, 1], []), NAMES, [["joy"], ["anger"], ["joy", "anger"], []]),
        (([1, 0], [2], [2, 0, 1]), NAMES, [["anger", "joy"], ["fear"], ["fear", "joy", "anger"]]),
        (("1,0", "2"), NAMES, [["anger", "joy"], ["fear"]]),
        (([0, 1], [1, 0]), ("no", "yes"), [["yes"], ["no"]]),
        (([0, 1],), ("no", "yes"), [["yes"]]),
        (("0", "1"), ("no", "yes"), [["no"], ["yes"]]),
        (([0, 0, 0], [], None, [1, 1, 1]), NAMES, [[], [], [], list(NAMES)]),
        (({"0": 1, "2": 0}, {"1": 1}), NAMES, [["joy"], ["anger"]]),
    ],
)
def test_positions_and_multi_hot_are_told_apart(cells: tuple[Any, ...], names: tuple[str, ...], labels: Any):
    assert read(*cells, names=names) == labels


def test_one_whole_number_per_text_is_a_name():
    assert read("3", 2, 1.0, "", "5.0") == [["3"], ["2"], ["1"], [], ["5"]]


@pytest.mark.parametrize("cells", [("0", "1"), ("1.0", "0.0"), (True, False), ("True", "false"), ([0], [1]), ([1.0], [0.0]), ("1",), ("[0]", "[1]")])  # fmt: skip
def test_only_0_and_1_are_no_labels(cells: tuple[Any, ...]):
    said = refused(*cells, column="anger", advice="; do that")
    assert said == "row 0: column 'anger' has only 0 and 1, which are not label names; do that"
    if not isinstance(cells[0], list):
        assert "only 0 and 1" in refused("0", "1", column="anger", names=NAMES)


@pytest.mark.parametrize(
    ("cells", "names", "reason"),
    [
        (([1, 0, 0], [1, 0]), NAMES, "row 1: [1, 0] is a multi-hot list of another length"),
        (([1, 0, 0, 0],), NAMES, "row 0: [1, 0, 0, 0] is a multi-hot list: 0 or 1 for each of 4 labels, but the list of names has 3"),
        (([2], [1, 0, 0]), NAMES, "row 1: [1, 0, 0] is a list of 0 and 1, but other rows hold other numbers"),
        (([1, 0], [2]), None, "row 0: [1, 0] holds numbers: --labels-file FILE"),
        (([2], [1, 1]), NAMES, "row 1: [1, 1] is a list of 0 and 1, but other rows"),
        (([2], [3]), NAMES, "row 1: label number 3 is not in the list of 3 labels, counted from 0 to 2"),
        ((-1, 2), NAMES, "row 0: label number -1 is not in the list"),
        ((10**4000, 2), NAMES, "is not in the list"),
        ((0.5, 2), NAMES, "row 0: 0.5 is neither a label nor a position"),
        (("joy", [2]), NAMES, "row 1: [2] holds the number 2, but other rows hold label names"),
        ((["joy", True],), None, "row 0: ['joy', True] holds the number True"),
        (("0.7", "0.1"), None, "row 0: '0.7' is not a label or a list of labels"),
        (("1;0;0", "0;1;0"), None, "row 0: '1;0;0' is 0 or 1 for several labels in one text: --label-separator"),
        (("0001", "1000"), None, "row 0: '0001' is 0 or 1 for several labels in one text"),
        (([0.05, 0.95],), None, "row 0: [0.05, 0.95] is not a label or a list of labels"),
        ((True, False), NAMES, "has only 0 and 1"),
        (("joy,",), None, "row 0: '' cannot be a label"),
        ((["joy", " "],), None, "row 0: '' cannot be a label"),
        ((["joy, anger"],), None, "row 0: 'joy, anger' cannot be a label"),
        (('say "x"',), None, "cannot be a label"),
        (("a\nb",), None, "cannot be a label"),
        (([["joy"]],), None, "row 0: [['joy']] is neither a label nor a list of labels"),
        (([None],), None, "is neither a label nor a list of labels"),
        (([float("nan")],), None, "is neither a label nor a list of labels"),
        ((b"joy",), None, "is neither a label nor a list of labels"),
        (("[['joy']]",), None, "is not a plain list of labels"),
        (("['joy', ]x]",), None, "is not a plain list of labels"),
        (("['joy' 3]",), None, "is not a plain list of labels"),
        (("[1 0 ... 0 1]",), None, "is not a plain list of labels"),
        (('[{"label": "joy"}]',), None, "is not a plain list of labels"),
        (("{'joy': 1, 'anger'}",), None, "is not a plain list of labels"),
        (({"joy": 0.7},), None, "row 0: 'joy': 0.7 is not a label with 0 or 1"),
        (({"joy": {"x": 1}},), None, "is not a label with 0 or 1"),
        (({"joy, anger": 0},), None, "is not a label with 0 or 1"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_its_row(cells: tuple[Any, ...], names: Any, reason: str):
    assert reason in refused(*cells, names=names)


def test_the_keys_of_a_mapping_are_labels_even_if_no_row_has_them():
    found = read_label_cells(
        [{"joy": 0, "fear": 0}, "{'awe': 1}"], fault=lambda at, reason: DataError(reason)
    )
    assert (found.names, set(found.known)) == ([[], ["awe"]], {"joy", "fear", "awe"})


nested: Any = []
for _ in range(2_000):
    nested = [nested]


@pytest.mark.parametrize("cell", ["[" * 200_000, "[" * 100_000 + "]" * 100_000, "[" + "'a" * 100_000 + "]", "array(" + ",dtype=" * 50_000 + "x)", "{" + "a:" * 100_000 + "}", "[" + "np.a(" * 50_000 + "]", "1" + " " * 100_000 + "x", nested, [nested], {"joy": nested}])  # fmt: skip
def test_no_cell_takes_the_parser_down(cell: Any):
    """Neither a crash, nor hours, as if time grew with the square of the cell."""
    try:
        names = read(cell)
    except DataError:
        return
    assert len(names) == 1  # read as the labels of one row


@given(st.lists(st.text(st.characters(exclude_characters=',"\n\r', exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool), min_size=1, unique=True))  # fmt: skip
def test_lists_that_python_wrote_read_back(names: list[str]):
    if all(read_number(name) for name in names):
        return
    assert read(repr(names), names=names) == [names]
    assert read(repr(np.array(names, dtype=object).tolist()), names=names) == [names]


def read_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return name.lower() in ("true", "false")


@pytest.mark.parametrize(("cell", "said"), [(1, True), ("1.0", True), ("TRUE", True), (np.bool_(True), True), (0, False), ("", False), (None, False), (float("nan"), False), ("False", False), (2, None), ("yes", None), ([1], None), (0.5, None)])  # fmt: skip
def test_a_cell_of_a_column_of_0_and_1(cell: Any, said: bool | None):
    assert is_one(cell) is said


@pytest.mark.parametrize(
    ("labels", "sign", "joined"),
    [
        (["joy", "anger", "joy|anger"], "|", ["joy|anger"]),
        (["joy", "anger", "joy; anger", "joy;fear"], ";", ["joy; anger", "joy;fear"]),
        (["a#b", "b#c", "a#c"], "#", ["a#b", "a#c", "b#c"]),
        (["joy", "anger", "joy anger"], " ", ["joy anger"]),
        (["joy", "anger", "anger/joy"], "/", ["anger/joy"]),
    ],
)
def test_joined_labels_are_found(labels: list[str], sign: str, joined: list[str]):
    assert separator_within(labels) == (sign, joined)


@pytest.mark.parametrize("labels", [[], ["joy", "anger"], ["Sci/Tech", "World", "Sports"], ["toxic", "severe_toxic", "non-toxic"], ["happy", "sad", "very happy", "very sad"], ["happy", "not happy"], ["|", "||", "a"]])  # fmt: skip
def test_labels_with_signs_in_them_are_left_alone(labels: list[str]):
    assert separator_within(labels) is None


def test_the_separator_of_a_label_that_is_not_in_the_list():
    assert separator_into("joy|fear", NAMES) == "|"
    assert separator_into("0;2", NAMES) == ";"
    assert separator_into("joyful", NAMES) is None


def test_what_is_shown_is_short():
    assert len(shown("x" * 10_000)) < 100
    assert len(shown(nested)) < 100

"""YAML as people expect it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.errors import SettingError
from goemo_cli.core.layering import dump_yaml, parse_yaml, read_yaml_mapping


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-5", 2e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("010", 10),
        ("true", True),
        ("null", None),
        ("", None),
        ("on", "on"),
        ("No", "No"),
        ("2025-12-12", "2025-12-12"),
        ("12:30:45", "12:30:45"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        ("~/models", "~/models"),
        ("[joy, 1, 2.5]", ["joy", 1, 2.5]),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: Any):
    parsed = parse_yaml(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "value",
    [2e-5, 1e16, 10, True, None, "on", "2e-5", "08", "12e4567", "010", "2025-12-12", "", "null", "é😀"],
)
def test_what_is_dumped_reads_back_with_its_type(value: Any):
    back = parse_yaml(dump_yaml({"key": value}))["key"]
    assert back == value
    assert type(back) is type(value)


@given(st.one_of(st.text(st.characters(codec="utf-8")), st.from_regex(r"[-+.0-9eExnitrufals~]{1,8}")))
def test_any_text_that_is_dumped_reads_back_as_text(text: str):
    assert parse_yaml(dump_yaml({"key": text}))["key"] == text


def test_a_value_that_stands_twice_is_written_without_an_alias():
    shared = ["joy", "anger"]
    assert parse_yaml(dump_yaml({"a": shared, "b": shared})) == {"a": shared, "b": shared}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' occurs twice, again in line 3"),
        ("training:\n  lr: 1\n  lr: 2", "key 'lr' occurs twice, again in line 3"),
        ("a: &x 1\nb: *x", "aliases"),
        ("a: [1", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_a_setting_error(text: str, reason: str):
    with pytest.raises(SettingError, match=reason):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["training:\n  learning_rate: {{lr}}", "? [a, b]\n: 1"])
def test_a_key_that_is_a_list_or_mapping_is_a_setting_error(text: str):
    with pytest.raises(SettingError, match="not valid YAML"):
        parse_yaml(text)


def test_an_error_names_the_file(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("a: 1\na: 2")
    with pytest.raises(SettingError, match=r"config\.yaml: not valid YAML"):
        read_yaml_mapping(path)


def test_an_empty_file_holds_no_settings(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("# nothing yet\n")
    assert read_yaml_mapping(tmp_path / "config.yaml") == {}


@pytest.mark.parametrize(("content", "kind"), [("- a\n- b", "list"), ("word", "str"), ("3", "int")])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, content: str, kind: str):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(SettingError, match=f"holds a {kind} instead of settings"):
        read_yaml_mapping(tmp_path / "config.yaml")


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path):
    (tmp_path / "config.yaml").write_bytes(b"model: \xff")
    with pytest.raises(SettingError, match=r"not UTF-8 text \(invalid start byte at byte 7\)"):
        read_yaml_mapping(tmp_path / "config.yaml")

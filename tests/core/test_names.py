"""Names of runs."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.names import RunName, family_of, model_slug

NOON = datetime(2025, 12, 12, 12, 0, 0, tzinfo=UTC)


def test_the_start_is_written_in_utc_whatever_the_zone_of_the_clock():
    in_tokyo = datetime(2025, 12, 12, 3, 0, 0, tzinfo=timezone(timedelta(hours=9)))
    assert RunName.mint("tiny", in_tokyo).stamp == "20251211-180000"


def test_a_run_without_a_given_start_starts_now():
    before = datetime.now(UTC).replace(microsecond=0)
    minted = datetime.strptime(RunName.mint("tiny").stamp, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert before <= minted <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", "all-minilm-l6-v2"),
        ("models/my_model.v2", "my_model.v2"),
        ("../../x", "x"),
        ("é😀", "model"),
        ("", "model"),
        ("CON", "con"),
        ("x" * 300, "x" * 80),
        ("a\nb\x00c", "a-b-c"),
    ],
)
def test_a_slug_is_safe_as_part_of_a_file_name(name: str, slug: str):
    assert model_slug(name) == slug


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_minted_name_is_one_safe_path_component_that_parses_back(name: str):
    run = RunName.mint(name, NOON)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", str(run))
    assert len(str(run)) < 100
    assert RunName.parse(str(run)) == run


@pytest.mark.parametrize(
    ("text", "model", "stamp"),
    [
        ("roberta-large-20251212-211010", "roberta-large", "20251212-211010"),
        ("x-20240101-000000-20251212-211010", "x-20240101-000000", "20251212-211010"),
        ("distilbert-12-11-2025-221314", "distilbert", "20251211-221314"),
        ("roberta-large-01-31-2026-000001", "roberta-large", "20260131-000001"),
    ],
)
def test_run_names_of_both_forms_parse(text: str, model: str, stamp: str):
    assert RunName.parse(text) == RunName(model, stamp)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20251212-211010",
        "tiny-20251212",
        "tiny-20251212-211010.csv",
        "Tiny-20251212-211010",
        "../tiny-20251212-211010",
        "distilbert-02-30-2025-221314",
        "tiny-20250230-000000",
        "tiny-20250101-250000",
        "tiny-20251212-211010\n",
        "distilbert-12-11-2025-221314\n",
    ],
)
def test_other_text_is_no_run_name(text: str):
    assert RunName.parse(text) is None


@pytest.mark.parametrize(
    ("stamp", "later"),
    [
        ("20251212-211010", "20251212-211011"),
        ("20251231-235959", "20260101-000000"),
        ("20240228-235959", "20240229-000000"),
    ],
)
def test_the_next_second_carries_over_minutes_days_and_years(stamp: str, later: str):
    assert RunName("tiny", stamp).next_second() == RunName("tiny", later)


@pytest.mark.parametrize(
    ("model", "family"),
    [("roberta-large", "roberta"), ("distilbert-base", "distilbert"), ("minilm", "minilm")],
)
def test_the_family_is_the_name_up_to_its_first_hyphen(model: str, family: str):
    assert family_of(model) == family

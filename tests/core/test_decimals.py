"""Numbers in tables: rounded, but never to 0 if they are not."""

import pytest

from goemo_cli.core.events import decimal, span


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.52346, "0.5235"),
        (1.0, "1.0000"),
        (0.0004, "0.0004"),
        (2e-5, "2e-05"),
        (-1.26e-7, "-1.3e-07"),
    ],
)
def test_a_small_number_is_not_shown_as_zero(value: float, shown: str) -> None:
    assert decimal(value) == shown


def test_places_and_signs() -> None:
    assert [decimal(value, 3, sign="+") for value in (0.1, -0.03, 0.0002, 0.0)] == [
        "+0.100",
        "-0.030",
        "+0.0002",
        "+0.000",
    ]
    assert span(0.0, 0.00019) == "0.000–0.00019"

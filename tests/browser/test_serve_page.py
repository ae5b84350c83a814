"""The pages of `goemo serve` in Chromium: a text is answered, nothing is loaded from other sites, nothing in it acts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.services.predicting.predictor import Predictor
from tests.browser.chromium import opened, until
from tests.prediction_checkpoints import add_calibrator, write_tiny
from tests.serving import Client, served

TEXT = "what a lovely surprise <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    made = write_tiny(Layout(tmp_path_factory.mktemp("page")))
    add_calibrator(made)
    return Predictor.load(Checkpoint.open(made.path))


@pytest.fixture(scope="module")
def server(predictor: Predictor) -> Iterator[Client]:
    with served(predictor) as client:
        yield client


@pytest.fixture
def page(browser: Any, server: Client) -> Iterator[Any]:
    page = opened(browser, viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(server.address)
    until(page, "document.getElementById('model').textContent.includes('28 labels')")
    yield page
    page.close()


def submit(page: Any, text: str) -> None:
    page.evaluate("document.getElementById('labels').textContent = ''")
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Predict").click()
    until(
        page, "document.getElementById('labels').textContent || document.getElementById('fault').textContent"
    )


def test_a_text_is_answered_as_by_the_predictor(
    page: Any, server: Client, predictor: Predictor, tmp_path: Path
):
    expected = predictor.predict_one(TEXT)
    submit(page, TEXT)
    assert page.inner_text("#labels") == ", ".join(expected.labels)
    ranked = sorted(expected.probabilities.items(), key=lambda entry: -entry[1])
    shown = [row.inner_text().split() for row in page.query_selector_all("#rows tr")]
    assert shown == [[label, f"{probability:.3f}"] for label, probability in ranked]
    bold = [row.inner_text() for row in page.query_selector_all("#rows tr.predicted th")]
    assert set(bold) == set(expected.labels)

    page.get_by_label("Labels", exact=True).select_option("ekman")
    submit(page, TEXT)
    assert len(page.query_selector_all("#rows tr")) == 7
    page.get_by_label("Labels", exact=True).select_option("")
    page.get_by_label("Threshold").fill("1")
    page.get_by_label("Calibrated").check()
    submit(page, TEXT)
    assert page.inner_text("#labels") == "no label"
    assert '"calibrated":true' in page.inner_text("#curl")
    assert "surprise" in page.inner_text("#curl")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "a phone needs no sideways scrolling"
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 26)"
    assert page.complaints == []
    assert all(url.startswith((server.address, "data:")) for url in page.requests)


def test_a_refused_request_shows_its_reason(page: Any):
    submit(page, "x" * 10_001)
    assert "at most 10,000" in page.inner_text("#fault")
    assert not page.is_visible("#answer")


def test_a_token_is_asked_for(browser: Any, predictor: Predictor):
    with served(predictor, token="right") as server:
        page = opened(browser)
        page.goto(server.address)
        until(page, "!document.getElementById('token-field').hidden")
        submit(page, TEXT)
        assert "needs the token" in page.inner_text("#fault")
        page.get_by_label("Token").fill("right")
        page.evaluate("document.getElementById('fault').textContent = ''")
        submit(page, TEXT)
        assert page.is_visible("#answer")
        page.close()


def test_the_operations_are_a_page_too(page: Any, server: Client):
    page.get_by_role("link", name="Operations").click()
    page.wait_for_url(f"{server.address}/docs")
    for path in ("/predict", "/health", "/model", "/metrics"):
        assert page.locator("h2", has_text=path).count() == 1
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

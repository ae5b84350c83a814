"""The report in Chromium: it opens, sorts, filters and computes what Python computes; nothing leaves it, nothing in it acts."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.metrics.confusions import row_losses
from goemo_cli.ml.metrics.scoring import count, rule_scores
from goemo_cli.services.report.create import create_report
from tests.browser.chromium import opened, until
from tests.browser.report_runs import HOSTILE, LABELS, SWEEP, SWEEP_VALUES, hostile_runs


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A root with two runs and the report of both."""
    layout = hostile_runs(tmp_path_factory.mktemp("browser"))
    create_report([path.name for path in layout.checkpoints()], layout=layout)
    return layout


def scroll_through(page: Any) -> None:
    """Show every section until its charts are drawn, which happens in the frame after it comes into view."""
    for section in page.query_selector_all("main > section"):
        section.scroll_into_view_if_needed()
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture(scope="module")
def page(browser: Any, layout: Layout) -> Iterator[Any]:
    """The report, opened once; `page.complaints` holds what the console said, `page.requests` where it went."""
    page = opened(browser, viewport={"width": 1280, "height": 900})
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.address = layout.report_page.resolve().as_uri()
    page.goto(page.address)
    yield page
    page.close()


@pytest.fixture
def fresh(page: Any) -> Any:
    """The page as it was opened: first run, no filters, whatever its address was in the last test."""
    page.goto("about:blank")
    page.goto(page.address)
    return page


@pytest.fixture(scope="module")
def runs(layout: Layout) -> list[tuple[Checkpoint, Predictions]]:
    checkpoints = [Checkpoint.open(path) for path in layout.checkpoints()]
    return [(one, read_predictions(layout.split_predictions(one.run, "test"))) for one in checkpoints]


def explored(page: Any) -> dict[str, float]:
    """The tiles of the explorer, as exact as the page has them."""
    tiles: dict[str, float] = page.eval_on_selector_all(
        ".tile",
        "tiles => Object.fromEntries(tiles.map(tile => [tile.dataset.score, Number(tile.dataset.value)]))",
    )
    return tiles


def scores_of(predictions: Predictions, thresholds: Any) -> dict[str, float]:
    """The same by goemo's Python."""
    y_pred = decide(predictions.y_prob, thresholds)
    found = rule_scores(predictions.y_true, y_pred)
    keys = [f"{mean}_{what}" for mean in ("macro", "micro") for what in ("f1", "precision", "recall")]
    named = {key: found["_".join(reversed(key.split("_")))] for key in keys}
    shown = {key.replace("_f1", "-F1").replace("_", "-"): value for key, value in named.items()}
    return shown | {"labels per text": y_pred.sum() / len(y_pred)}


def test_it_opens_without_a_complaint_or_a_request(fresh: Any, layout: Layout) -> None:
    scroll_through(fresh)
    assert fresh.query_selector_all(".plot svg")
    assert fresh.complaints == []
    assert set(fresh.requests) == {layout.report_page.resolve().as_uri()}


def test_hostile_texts_are_harmless(fresh: Any) -> None:
    fresh.select_option("#find-order", "row")
    assert fresh.evaluate("window.hacked") is None
    assert fresh.query_selector("main img, main iframe, main script") is None
    shown = fresh.inner_text("#text-list")
    assert HOSTILE[0] in shown
    assert "\u241b[31mred" in shown
    assert "\\u202eright to left" in shown
    assert "\x1b" not in fresh.content()
    assert "\u202e" not in fresh.content()
    long = fresh.query_selector("#text-list li:nth-child(7) bdi")
    assert len(long.inner_text()) < 310
    fresh.click("text=/Show all 5,0\\d\\d characters/ >> nth=0")
    assert len(long.inner_text()) > 5000
    assert fresh.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_explorer_begins_with_what_val_chose(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    for at, (checkpoint, predictions) in enumerate(runs):
        fresh.select_option("#run", str(at))
        expected = scores_of(predictions, checkpoint.thresholds.of_rule(checkpoint.thresholds.rule))
        assert explored(fresh) == pytest.approx(expected, abs=1e-9)
        assert fresh.is_visible("text=never_empty") == checkpoint.thresholds.settings.never_empty
        if not checkpoint.thresholds.settings.never_empty:
            own = checkpoint.metrics.test_rule
            assert explored(fresh)["macro-F1"] == pytest.approx(own.f1_macro, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.0, 0.035, 0.25, 0.3, 1.0])
def test_the_slider_gives_the_numbers_of_python(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]], threshold: float
) -> None:
    predictions = runs[0][1]
    fresh.fill("#explore-slider", str(threshold))
    expected = scores_of(predictions, threshold)
    assert explored(fresh) == pytest.approx(expected, abs=1e-9)
    for name, value in expected.items():
        assert fresh.inner_text(f'.tile[data-score="{name}"] b') == f"{value:.3f}"
    counts = count(predictions.y_true, decide(predictions.y_prob, threshold))
    for label in range(len(LABELS)):
        cells = fresh.eval_on_selector_all(
            f'#explore-table tr[data-label="{label}"] td',
            "cells => cells.map(cell => Number(cell.dataset.value))",
        )
        assert cells[2:5] == pytest.approx(
            [counts.precision[label], counts.recall[label], counts.f1[label]], abs=1e-9
        )
        assert cells[7:] == [counts.tp[label], counts.fp[label], counts.fn[label]]


def test_a_threshold_on_a_probability_is_a_yes(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    predictions = runs[0][1]
    exact = float(np.sort(predictions.y_prob[:, 2])[-5])
    fresh.select_option("#explore-label", "2")
    fresh.fill("#explore-number", repr(exact))
    thresholds = runs[0][0].thresholds.of_rule(runs[0][0].thresholds.rule).copy()
    thresholds[2] = exact
    assert explored(fresh) == pytest.approx(scores_of(predictions, thresholds), abs=1e-9)


def test_columns_sort_both_ways_by_their_numbers(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    table = '[data-run="0"] table[data-table="labels"]'
    heading = fresh.locator(f"{table} th", has_text="support")
    expected = sorted(runs[0][1].y_true.sum(axis=0).tolist())
    for order, supports in (("descending", expected[::-1]), ("ascending", expected)):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        cells = fresh.eval_on_selector_all(
            f"{table} tbody td:nth-child(6)", "cells => cells.map(cell => cell.textContent)"
        )
        assert [int(cell) for cell in cells] == supports


def test_comments_are_found_and_the_worst_come_first(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    given = runs[0][1]
    wrong = (given.y_true != given.y_pred).any(axis=1)
    losses = row_losses(given.y_true, given.y_prob)
    rows: list[int] = np.flatnonzero(wrong).tolist()
    worst = max(rows, key=lambda row: (losses[row], -row))
    assert f"row {worst + 1} " in fresh.inner_text("#text-list li:first-child .meta")
    assert f"loss {losses[worst]:.2f}" in fresh.inner_text("#text-list li:first-child .meta")
    fresh.select_option("#find-kind", "wrong")
    assert f"{wrong.sum()} of {len(given)} texts" in fresh.inner_text("#found")
    fresh.select_option("#find-kind", "all")
    fresh.select_option("#find-gold", "2")
    assert f"{given.y_true[:, 2].sum()} of" in fresh.inner_text("#found")
    fresh.select_option("#find-gold", "-1")
    fresh.fill("#find-text", "EMOJI")
    assert f"{sum('emoji' in text for text in given.texts)} of" in fresh.inner_text("#found")
    fresh.fill("#find-text", "#12")
    assert re.match("row 12 ", fresh.inner_text("#text-list .meta"))


@pytest.mark.slow
def test_pages_of_comments_turn(fresh: Any) -> None:
    first = fresh.inner_text("#text-list li:first-child")
    assert fresh.is_disabled("#previous")
    fresh.click("#next")
    assert "page 2 of 3" in fresh.inner_text("#page-number")
    assert fresh.inner_text("#text-list li:first-child") != first
    fresh.click("#previous")
    assert fresh.inner_text("#text-list li:first-child") == first


def test_another_run_and_fewer_runs_can_be_shown(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    fresh.select_option("#run", "1")
    assert fresh.is_hidden('#labels div[data-run="0"]')
    assert fresh.is_visible('#labels div[data-run="1"]')
    assert str(runs[1][0].run) in fresh.inner_text("#found")
    fresh.select_option("#run", "0")
    fresh.select_option("#run", "1")
    assert fresh.is_visible("#explore-table tbody tr")
    fresh.locator("#chart-labels").scroll_into_view_if_needed()
    fresh.wait_for_selector("#chart-labels svg")
    both = fresh.locator("#chart-labels svg path").count()
    fresh.uncheck('#toggles input[value="0"]')
    until(fresh, f"document.querySelectorAll('#chart-labels svg path').length < {both}")


def test_charts_zoom_and_answer_the_pointer(fresh: Any) -> None:
    fresh.locator("#chart-thresholds").scroll_into_view_if_needed()
    fresh.wait_for_selector("#chart-thresholds svg")
    fresh.click('#thresholds button[aria-label^="Zoom in"]')
    start, end = fresh.evaluate(
        "(({ start, end }) => [start, end])(charts.get('chart-thresholds').getOption().dataZoom[0])"
    )
    assert (start, end) == pytest.approx((20, 80))
    fresh.click('#thresholds button[aria-label^="Whole chart"]')
    assert fresh.evaluate("charts.get('chart-thresholds').getOption().dataZoom[0].end") == 100
    before = fresh.locator("#chart-thresholds svg text").count()
    fresh.hover("#chart-thresholds")
    until(fresh, f"document.querySelectorAll('#chart-thresholds svg text').length > {before}")
    assert fresh.complaints == []


def test_a_sweep_is_charted_sorted_and_harmless(fresh: Any) -> None:
    sweep = fresh.locator("details.sweep")
    assert sweep.locator("summary bdi").first.inner_text() == SWEEP
    fresh.locator("#chart-sweep-0").scroll_into_view_if_needed()
    fresh.wait_for_selector("#chart-sweep-0 svg")
    trials, best = fresh.evaluate(
        "charts.get('chart-sweep-0').getOption().series.map(one => one.data.map(({ value }) => value))"
    )
    assert trials == [[at, value] for at, value in enumerate(SWEEP_VALUES) if value is not None]
    assert best == [[0, 0.25], [2, 0.5], [3, 0.5]]
    rows = "cells => cells.map(cell => cell.textContent)"
    assert sweep.locator("tbody th").evaluate_all(rows) == ["2", "0", "3", "1"]
    sweep.locator("thead button", has_text="val/f1_macro").click()
    sweep.locator("thead button", has_text="val/f1_macro").click()
    assert sweep.locator("tbody th").evaluate_all(rows) == ["3", "0", "2", "1"]
    assert HOSTILE[0] in sweep.inner_text()
    assert fresh.evaluate("window.hacked") is None
    assert fresh.complaints == []


def test_the_keyboard_reaches_everything(fresh: Any) -> None:
    fresh.keyboard.press("Tab")
    assert fresh.evaluate("document.activeElement.className") == "skip"
    fresh.keyboard.press("Enter")
    assert fresh.evaluate("document.activeElement.id") == "main"
    wanted = {"explore-slider", "explore-number", "find-text", "next", "reliability-label"}
    seen: set[str] = set()
    sorting = 0
    for _ in range(200):
        fresh.keyboard.press("Tab")
        name, kind, outline = fresh.evaluate(
            "(({ id, tagName, parentElement: { tagName: above } }) => [id, above + ' ' + tagName,"
            " getComputedStyle(document.activeElement).outlineStyle])(document.activeElement)"
        )
        seen.add(name)
        sorting += kind == "TH BUTTON"
        assert outline != "none" or kind.endswith("BODY"), name
        if wanted <= seen:
            break
    assert wanted <= seen
    assert sorting > 10
    fresh.focus("#explore-slider")
    before = explored(fresh)
    fresh.keyboard.press("End")
    assert explored(fresh) != before


UNDRAWN = "[...document.querySelectorAll('.plot')].filter(one => one.clientWidth && !one.querySelector('svg')).map(one => one.id)"


def test_charts_are_drawn_without_being_scrolled_to(fresh: Any) -> None:
    until(fresh, f"{UNDRAWN}.length === 0")
    assert fresh.evaluate("scrollY") == 0
    assert len(fresh.query_selector_all(".plot svg")) >= 10


def test_curves_are_those_of_scikit_learn(fresh: Any, runs: list[tuple[Checkpoint, Predictions]]) -> None:
    for at, (_, predictions) in enumerate(runs):
        columns = [(predictions.y_true[:, k], predictions.y_prob[:, k]) for k in range(len(LABELS))]
        for label, (y_true, y_prob) in enumerate(
            [(predictions.y_true.ravel(), predictions.y_prob.ravel()), *columns], -1
        ):
            points = np.array(fresh.evaluate(f"RUNS[{at}].curve({label})"))
            precision, recall, thresholds = precision_recall_curve(y_true, y_prob)
            assert points[::-1] == pytest.approx(np.stack([recall[:-1], precision[:-1], thresholds], axis=1))
            area = fresh.evaluate(f"averagePrecision(RUNS[{at}].curve({label}))")
            assert area == pytest.approx(average_precision_score(y_true, y_prob))


def test_labels_that_occur_together_are_counted(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]]
) -> None:
    y_true, y_pred = (cells.astype(int) for cells in (runs[1][1].y_true, runs[1][1].y_pred))
    rows = "(counts => counts.map(row => [...row]))"
    assert fresh.evaluate(f"{rows}(goldTogether())") == (y_true.T @ y_true).tolist()
    assert fresh.evaluate(f"{rows}(RUNS[1].together())") == (y_pred.T @ y_pred).tolist()


def test_the_address_keeps_run_section_and_filters(browser: Any, fresh: Any) -> None:
    fresh.select_option("#run", "1")
    fresh.select_option("#find-gold", "0")
    fresh.select_option("#find-kind", "wrong")
    fresh.select_option("#curve-label", "2")
    fresh.evaluate("document.getElementById('texts').scrollIntoView({ behavior: 'instant' })")
    until(fresh, "location.hash.startsWith('#texts&run=')")
    other = opened(browser)
    other.goto(fresh.url)
    assert other.inner_text("#found") == fresh.inner_text("#found")
    assert other.inner_text("#curve-finding") == fresh.inner_text("#curve-finding")
    assert 0 <= other.evaluate("document.getElementById('texts').getBoundingClientRect().top") < 400
    other.goto(f"{other.url.partition('#')[0]}#texts&run=gone&gold=%zz&find=%2312")
    assert other.inner_text("#run option:checked") == fresh.inner_text("#run option >> nth=0")
    assert re.match("row 12 ", other.inner_text("#text-list .meta"))
    other.close()


def table_in(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_tables_and_charts_are_saved(
    fresh: Any, runs: list[tuple[Checkpoint, Predictions]], tmp_path: Path
) -> None:
    def saved(selector: str) -> Path:
        with fresh.expect_download() as download:
            fresh.click(selector)
        path: Path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    rows = table_in(saved('[data-run="0"] [aria-label^="Save as CSV: Each label"]'))
    expected = sorted(runs[0][0].metrics.per_class, key=lambda row: -row.f1_score)
    assert [float(row["F1"]) for row in rows] == [row.f1_score for row in expected]
    assert [float(row["95 % interval high"]) for row in rows] == [row.f1_ci_high for row in expected]
    fresh.wait_for_selector("#chart-labels svg")
    picture = saved('#labels [aria-label^="Save as PNG"]').read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") > 2000
    given = runs[0][1]
    rows = table_in(saved("#found-csv"))
    assert sorted(float(row["pred_prob_joy"]) for row in rows) == sorted(given.y_prob[:, 2].tolist())
    assert fresh.complaints == []
    with fresh.expect_download() as download:
        fresh.evaluate("saveCsv([['=1+1', '-1.5', '@x', 'a\"b\\nc']], 'x')")
    assert Path(download.value.path()).read_text("utf-8-sig") == '\'=1+1,-1.5,\'@x,"a""b\nc"\n'


def test_dark_is_chosen_by_the_system_and_by_the_button(browser: Any, layout: Layout) -> None:
    dark = opened(browser, color_scheme="dark")
    dark.goto(layout.report_page.resolve().as_uri())
    background = "getComputedStyle(document.body).backgroundColor"
    assert dark.evaluate(background) == "rgb(18, 21, 26)"
    assert dark.inner_text("#theme") == "Light theme"
    dark.click("#theme")
    assert dark.evaluate(background) == "rgb(246, 247, 249)"
    assert dark.inner_text("#theme") == "Dark theme"
    dark.close()


def test_a_phone_needs_no_sideways_scrolling(browser: Any, layout: Layout) -> None:
    phone = opened(browser, viewport={"width": 390, "height": 844})
    phone.goto(layout.report_page.resolve().as_uri())
    scroll_through(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    boxes = "[...document.querySelectorAll('.scroll')].filter(one => one.clientWidth && !one.closest('details:not([open])'))"
    assert phone.evaluate(f"{boxes}.some(one => one.scrollWidth > one.clientWidth + 1)")
    until(
        phone, f"{boxes}.every(one => (one.scrollWidth > one.clientWidth + 1) === Boolean(one.dataset.more))"
    )
    shown = phone.eval_on_selector_all("#chart-labels svg text", "all => all.map(one => one.textContent)")
    assert not [text for text in shown if "…" in text]
    phone.click("#menu")
    links = phone.query_selector_all("#sections a")
    assert all(0 <= box["x"] <= 390 - box["width"] for box in (link.bounding_box() for link in links))
    phone.click('#sections a[href="#texts"]')
    assert phone.is_hidden("#sections")
    phone.close()


@pytest.mark.slow
def test_it_prints_with_its_charts(browser: Any, layout: Layout, tmp_path: Path) -> None:
    printed = opened(browser, color_scheme="dark")
    printed.goto(layout.report_page.resolve().as_uri())
    printed.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    widths = printed.eval_on_selector_all(
        ".plot svg", "all => all.map(one => one.getBoundingClientRect().width)"
    )
    assert len(widths) >= 8
    assert printed.evaluate("document.documentElement.dataset.theme") is None
    printed.close()

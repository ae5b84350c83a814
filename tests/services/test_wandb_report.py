"""The comparison report on W&B: what the real library sends to the server, and what goes wrong before it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.errors import MissingPackageError, NotFoundError, RemoteError
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.tracker_results import epoch_values, test_values
from goemo_cli.services.training.tracking import logged_settings
from goemo_cli.services.wandb.report import create_wandb_report, headline_table
from goemo_cli.tracking.journal import JournalTracker
from goemo_cli.tracking.wandb.reports import ON_TEST, PER_EPOCH
from tests.forks import forked_python
from tests.synthetic_runs import add_run
from tests.wandb_server.reports import ReportServer

ASK = """
import sys
from pathlib import Path
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.layout import Layout
from goemo_cli.services.wandb.report import create_wandb_report
for question in sys.argv[2:]:
    try:
        print(create_wandb_report(question.split(), layout=Layout(Path(sys.argv[1]))))
    except GoemoError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with ReportServer() as server:
        yield server
        assert server.bugs == []
        assert server.unanswered == []


def logged(layout: Layout, name: str, run_id: str, *, data: str = "goemotions", **wandb: Any) -> None:
    """A finished run with a journal, so that it has an id on W&B."""
    checkpoint = add_run(layout, name, data=data, settings={"logging": {"wandb": wandb}})
    journal = JournalTracker(layout.journals, root=layout.root, mirror_id=run_id)
    journal.start(checkpoint.run, logged_settings(TrainConfig()), {})
    journal.finish({})


def asked(server: ReportServer, folder: Path, *questions: str) -> list[str]:
    """What creating reports of some runs says, in a fresh process: the SDK keeps the first server that it heard of."""
    online = server.environment(folder / "sdk") | {"GOEMO_OFFLINE": "0"}
    done = forked_python(ASK, folder, *questions, env=online)
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


def test_the_report_holds_exactly_these_runs_with_their_scores(server: ReportServer, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    logged(layout, "tiny-20260101-000000", "aaaa1111")
    logged(layout, "tiny-20260101-000001", "bbbb2222", project="elsewhere", entity="team")
    for path in ("tester/goemo/aaaa1111", "team/elsewhere/bbbb2222", "tester/goemo/other333"):
        server.add_run(path)
    (url,) = asked(server, tmp_path, "tiny-20260101-000000 @latest")
    ((id, view),) = server.views.items()
    assert url == (f"{server.url}/tester/goemo/reports/tiny-20260101-000000-vs-tiny-20260101-000001--{id}")
    assert view["type"] == "runs"
    (text,) = [block for block in server.blocks(id) if block["type"] == "markdown-block"]
    assert "| tiny-20260101-000001 | goemotions | per_label | 0.500 (0.250 to 0.500) |" in text["content"]
    (grid,) = [block for block in server.blocks(id) if block["type"] == "panel-grid"]
    run_sets = {
        (one["project"]["entityName"], one["project"]["name"]): one["filters"]["filters"]
        for one in grid["metadata"]["runSets"]
    }
    assert {where: [(one["key"], one["op"], one["value"]) for one in filters] for where, filters in run_sets.items()} == {
        where: [({"section": "run", "name": "name"}, "IN", [run_id])]
        for where, run_id in ((("tester", "goemo"), "aaaa1111"), (("team", "elsewhere"), "bbbb2222"))
    }  # fmt: skip
    panels = grid["metadata"]["panelBankSectionConfig"]["panels"]
    shown = {metric for panel in panels for metric in panel["config"].get("metrics") or ()}
    assert {"val/f1_macro", "train/loss", "test/auc_micro", "test/f1_joy"} <= shown
    places = [tuple(panel["layout"].values()) for panel in panels]
    for at, (x, y, w, h) in enumerate(places):
        for x2, y2, w2, h2 in places[at + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "panels overlap"


def test_the_panels_show_metrics_that_training_logs(tmp_path: Path) -> None:
    metrics = add_run(Layout(tmp_path), "tiny-20260101-000000").metrics
    assert set(PER_EPOCH) <= set(epoch_values(metrics.history[0]))
    assert set(ON_TEST) <= set(test_values(metrics))


def test_a_run_that_is_not_on_wandb_and_a_refused_report(server: ReportServer, tmp_path: Path) -> None:
    logged(Layout(tmp_path), "tiny-20260101-000000", "aaaa1111")
    logged(Layout(tmp_path), "tiny-20260101-000001", "bbbb2222")
    server.add_run("tester/goemo/bbbb2222")
    server.faults.add(operation="upsertView", status=403, message="permission denied")
    missing, refused = asked(server, tmp_path, "tiny-20260101-000000", "@latest")
    assert missing == (
        f"NotFoundError tiny-20260101-000000 is not on W&B: goemo sync --root {tmp_path} tiny-20260101-000000"
    )
    assert refused.startswith("AuthenticationError W&B refuses the API key for the report in tester/goemo")
    assert server.views == {}


def test_what_is_wrong_here_is_told_before_anything_is_asked(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_run(layout, "tiny-20260101-000000").run
    with pytest.raises(NotFoundError, match=f"{run} is not on W&B: goemo sync"):
        create_wandb_report([str(run)], layout=layout)
    logged(layout, "tiny-20260101-000001", "aaaa1111")
    with pytest.raises(RemoteError, match="GOEMO_OFFLINE"):
        create_wandb_report([], layout=layout)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(MissingPackageError, match=r"wandb-workspaces: pip install 'goemo\[wandb-report\]'"):
        create_wandb_report([], layout=layout)


def test_runs_of_different_comments_are_not_put_side_by_side_in_silence(layout: Layout) -> None:
    one = add_run(layout, "tiny-20260101-000000")
    other = add_run(layout, "tiny-20260101-000001", data="my|own\n<b>data</b>")
    assert "do not compare" not in headline_table([one, one])
    text = headline_table([one, other])
    assert "their scores do not compare" in text
    assert r"| my\|own &lt;b>data&lt;/b> |" in text
    assert len(text.splitlines()) == 6

"""`goemo sync`: a run trained without W&B goes up whole, once; what cannot go up says why and sends nothing."""

import multiprocessing
import sys
from collections.abc import Callable

import pytest

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import CorruptArtifactError, MissingPackageError, NotFoundError
from goemo_cli.core.events import Event, Info
from goemo_cli.core.files import write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.training.tracking import logged_settings
from goemo_cli.services.wandb.sync import sync_run
from goemo_cli.tracking.base import Artifact, Table
from goemo_cli.tracking.journal import JournalTracker, journal_path
from tests.waiting import GUARD_SECONDS
from tests.wandb_server import WandbServer

RUN = RunName("tiny", "20260101-000000")


def journalled(layout: Layout, *, finish: bool = True) -> JournalTracker:
    """A run of two epochs with a file, a table and two artifacts, as its journal tells it."""
    journal = JournalTracker(layout.journals, root=layout.root, mirror_id="abcd1234")
    journal.start(RUN, logged_settings(TrainConfig()), {"git_commit": "c0ffee"})
    for epoch in (1, 2):
        journal.log({"val/auc": epoch / 10}, step=10 * epoch, epoch=epoch)
    journal.histograms({"gradients/bias": Histogram((1, 0, 2), -1.0, 2.0, 3.0, 9.0)}, step=20)
    journal.event("early_stopping", {"epochs_saved": 3})
    journal.table(Table("per_emotion", ("emotion", "f1_score"), [["joy", 0.5], ["fear", None]]), step=21)
    path = layout.predictions / "test_predictions_tiny_20260101-000000.csv"
    write_text(path, "text\na\n")
    journal.save(path, name=f"predictions/{path.name}")
    journal.write("output.log", "one\n")
    journal.write("output.log", "two\n")
    data = Artifact("sample-data", "dataset", texts={"data.json": "{}\n"}, metadata={"n": 1}, is_input=True)
    journal.artifact(data)
    files = {path.name: path}
    journal.artifact(
        Artifact("tiny-test-predictions-{run_id}", "predictions", files, aliases=("latest", "best"))
    )
    if finish:
        journal.finish({"best_epoch": 2})
    return journal


def test_a_run_goes_up_under_the_id_of_its_journal_and_what_gets_lost_again(
    server: WandbServer, layout: Layout
) -> None:
    journalled(layout)
    said: list[Event] = []
    synced = sync_run(str(RUN), layout=layout, on_event=said.append)
    assert synced.sent == ("the run tester/goemo/abcd1234",)
    there = server.runs["tester/goemo/abcd1234"]
    assert Info(f"W&B: {server.url}/tester/goemo/runs/abcd1234") in said
    assert (there.state, there.name) == ("finished", str(RUN))
    assert [row["val/auc"] for row in there.history if "epoch" in row] == [0.1, 0.2]
    (shown,) = (row["gradients/bias"] for row in there.history if "gradients/bias" in row)
    assert (shown["values"], shown["bins"]) == ([1, 0, 2], [-1.0, 0.0, 1.0, 2.0])
    assert there.summary["early_stopping/epochs_saved"] == 3
    assert there.summary["best_epoch"] == 2
    assert there.config["git_commit"] == "c0ffee"
    assert there.files["predictions/test_predictions_tiny_20260101-000000.csv"] == b"text\na\n"
    assert there.files["output.log"] == b"one\ntwo\n"
    assert [version.name for version in there.used] == ["sample-data:v0"]
    assert set(server.artifacts["tester/goemo/tiny-test-predictions-abcd1234"].aliases) == {"latest", "best"}
    # and then only what lacks is sent
    history = there.history
    del there.files["predictions/test_predictions_tiny_20260101-000000.csv"]
    del there.summary["best_epoch"]
    there.state = "running"
    assert sync_run(str(RUN), layout=layout).sent == (
        "the end of the run",
        "1 numbers of the summary, such as best_epoch",
        "the file predictions/test_predictions_tiny_20260101-000000.csv",
    )
    assert there.history == history
    assert there.state == "finished"
    assert len(server.artifacts["tester/goemo/tiny-test-predictions-abcd1234"].versions) == 1


def test_a_killed_run_goes_up_as_failed(server: WandbServer, layout: Layout) -> None:
    fork = multiprocessing.get_context("fork")
    killed = fork.Process(target=journalled, args=(layout,), kwargs={"finish": False})
    killed.start()
    killed.join(GUARD_SECONDS)
    sync_run(str(RUN), layout=layout)
    assert server.runs["tester/goemo/abcd1234"].state == "failed"
    assert server.runs["tester/goemo/abcd1234"].exit_code == 1


def test_what_is_not_here_sends_nothing(server: WandbServer, layout: Layout) -> None:
    with pytest.raises(NotFoundError, match="no run"):
        sync_run("tiny-20250101-000000", layout=layout)
    journalled(layout)
    (layout.predictions / "test_predictions_tiny_20260101-000000.csv").unlink()
    with pytest.raises(NotFoundError, match=r"test_predictions_.*gone; nothing was sent"):
        sync_run(str(RUN), layout=layout)
    write_text(journal_path(layout.journals, RUN), '{"kind": "start"\n')
    with pytest.raises(CorruptArtifactError, match="not JSON"):
        sync_run(str(RUN), layout=layout)
    assert server.requests == []


def test_a_checkpoint_without_journal_is_said_so(
    make_checkpoint: Callable[..., Checkpoint], layout: Layout
) -> None:
    with pytest.raises(NotFoundError, match="no journal"):
        sync_run(str(make_checkpoint().path), layout=layout)


def test_without_wandb_the_package_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingPackageError, match="goemo sync needs the package wandb"):
        sync_run(str(RUN), layout=layout)

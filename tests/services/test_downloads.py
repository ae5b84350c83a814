"""`goemo download` and `goemo validate --wandb` with the real SDK in a process of its own, against the loopback server."""

import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from goemo_cli.core.checkpoint import MANIFEST, METRICS, Checkpoint, write_manifest
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import PARTIAL_PREFIX, read_json_object, sha256_file, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.ml.models.weight_safety import require_plain_weights
from goemo_cli.services.runs.summaries import write_summaries
from goemo_cli.services.wandb.plan import ArtifactName
from goemo_cli.services.wandb.transfer import open_stage
from tests.conftest import REPOSITORY
from tests.forks import FORKS, answer, run_in_fork
from tests.synthetic_runs import LABELS, add_run, outside
from tests.torture.commands import full
from tests.torture.surroundings import can_mount, tmpfs
from tests.waiting import GUARD_SECONDS, wait_for
from tests.wandb_server import WandbServer
from tests.wandb_server.store import Run

RUN = "tiny-20260101-000000"
WHERE = "tester/goemo/abc123"


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    bug: str | None

    @property
    def document(self) -> Any:
        assert self.bug is None, self
        return json.loads(self.out)


def environment(server: WandbServer, folder: Path, **more: str) -> dict[str, str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB", "GOEMO")) and "proxy" not in name.lower()
    }
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    home = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(REPOSITORY)}
    return clean | server.environment(folder) | home | more


class Goemo:
    """A process that runs `goemo download` and `goemo validate`, as often as it is asked to."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._commands, theirs = FORKS.Pipe()
        nowhere = Path(os.devnull)
        self._process = FORKS.Process(target=run_in_fork, args=(variables, nowhere, nowhere, answer, theirs))
        self._process.start()
        theirs.close()

    def __call__(self, *arguments: object) -> Done:
        self._commands.send([str(argument) for argument in arguments])
        assert self._commands.poll(GUARD_SECONDS)
        return Done(*self._commands.recv())

    def end(self) -> None:
        self._commands.close()
        self._process.join(GUARD_SECONDS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdk")


@pytest.fixture(scope="module")
def shared_server() -> Iterator[WandbServer]:
    with WandbServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared_goemo(shared_server: WandbServer, place: Path) -> Iterator[Goemo]:
    goemo = Goemo(environment(shared_server, place))
    yield goemo
    goemo.end()


@pytest.fixture
def server(shared_server: WandbServer) -> Iterator[WandbServer]:
    """The module's server, empty and without faults."""
    store = shared_server.store
    store.runs.clear()
    store.collections.clear()
    store.artifacts.clear()
    shared_server.faults.clear()
    shared_server.requests.clear()
    yield shared_server
    shared_server.faults.clear()


@pytest.fixture
def goemo(shared_goemo: Goemo, server: WandbServer) -> Goemo:
    return shared_goemo


@pytest.fixture
def origin(tmp_path: Path) -> Layout:
    """Where the run was trained: nothing but it."""
    return trained(tmp_path / "origin")


@pytest.fixture
def here(tmp_path: Path) -> Layout:
    """Where it is downloaded to: an empty root."""
    (tmp_path / "here").mkdir()
    return Layout(tmp_path / "here")


def weights(number: float = 1.0) -> bytes:
    """A safetensors file; every one is another."""
    noise = np.frombuffer(os.urandom(1000), np.uint8)
    content: bytes = save({"a.weight": np.full(3, number, np.float32), "b": noise})
    return content


def trained(root: Path, name: str = RUN, **scores: Any) -> Layout:
    layout = Layout(root)
    checkpoint = add_run(layout, name, **scores)
    folder, run = checkpoint.path, checkpoint.run
    (folder / "weights.bin").unlink()
    (folder / "model.safetensors").write_bytes(weights())
    metrics = read_json_object(folder / METRICS) | {"wandb_run_id": "abc123", "per_class": []}
    write_json(folder / METRICS, metrics)
    write_manifest(
        folder,
        run=run,
        kind="tiny",
        labels=LABELS,
        parents={"data": "0" * 64},
        headline=Headline.of(Metrics.model_validate(metrics)),
        outputs={layout.shown(path): sha256_file(path) for path in outside(layout, run)},
    )
    write_summaries(layout, models=[run.model])
    return layout


def names_of(layout: Layout) -> dict[str, bytes]:
    """The files of the only run, by their names in the Files tab."""
    folder = next(layout.checkpoints())
    named = {f"checkpoint/{folder.name}/{path.name}": path for path in folder.iterdir()}
    named |= {f"predictions/{path.name}": path for path in layout.predictions.iterdir()}
    named |= {f"stats/{path.name}": path for path in layout.stats.iterdir()}
    return {name: path.read_bytes() for name, path in named.items()}


def upload(server: WandbServer, layout: Layout, path: str = WHERE, **attributes: Any) -> Run:
    extra = {"wandb-metadata.json": b"{}", "output.log": b"a line\n"}
    return server.add_run(path, files=names_of(layout) | extra, **attributes)


def tree(layout: Layout) -> dict[str, bytes]:
    """Every file below the root but the records of downloads."""
    return {
        path.relative_to(layout.root).as_posix(): path.read_bytes()
        for path in sorted(layout.root.rglob("*"))
        if path.is_file() and layout.downloads not in path.parents
    }


def file_requests(server: WandbServer) -> list[str]:
    return [one.path for one in server.requests if one.path != "/graphql" and one.method == "GET"]


def test_a_download_on_an_empty_root_is_what_was_trained(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    upload(server, origin)
    done = goemo("download", "--run-id", WHERE, "--root", here.root, "--json")
    assert done.code == 0, done
    assert tree(here) == tree(origin)
    assert done.document["source"] == WHERE
    assert done.document["fetched"] == len(file_requests(server)) == len(done.document["files"])
    assert Checkpoint.open(Path(done.document["checkpoints"][0])).run == RunName.parse(RUN)


def test_a_second_download_fetches_nothing(goemo: Goemo, server: WandbServer, origin: Layout, here: Layout):
    upload(server, origin)
    assert goemo("download", "--run-id", "abc123", "--root", here.root).code == 0
    before = tree(here)
    server.requests.clear()
    again = goemo("download", "--run-id", "goemo/abc123", "--root", here.root)
    assert (again.code, file_requests(server)) == (0, [])
    assert "Nothing to fetch" in again.out
    assert tree(here) == before


def test_an_unknown_run_is_told(goemo: Goemo, server: WandbServer, here: Layout):
    done = goemo("download", "--run-id", "nope", "--root", here.root)
    assert done.code == 4, done
    assert "W&B has no run tester/goemo/nope" in done.err
    assert server.key not in done.out + done.err
    assert list(here.root.iterdir()) == []


def test_only_what_changed_is_fetched_again(goemo: Goemo, server: WandbServer, origin: Layout, here: Layout):
    run = upload(server, origin)
    goemo("download", "--run-id", WHERE, "--root", here.root)
    lost = here.predictions / f"test_predictions_{RUN[:4]}_{RUN[5:]}.csv"
    damaged = next(here.checkpoints()) / "model.safetensors"
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[::-1])
    server.requests.clear()
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
    assert {Path(path).name for path in file_requests(server)} == {lost.name, damaged.name}
    assert tree(here) == tree(origin)
    # and what changed on the server
    run.files["figures/01_x.png"] = b"a picture"
    server.requests.clear()
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
    assert [Path(path).name for path in file_requests(server)] == ["01_x.png"]
    assert (here.figures / "01_x.png").read_bytes() == b"a picture"


def test_what_was_downloaded_needs_no_network(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    upload(server, origin)
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
    server.stop()
    try:
        again = goemo("download", "--run-id", "abc123", "--root", here.root)
        other = goemo("download", "--run-id", "other", "--root", here.root)
        (next(here.checkpoints()) / "model.safetensors").write_bytes(b"other")
        damaged = goemo("download", "--run-id", "abc123", "--root", here.root)
    finally:
        server.start()
    assert again.code == 0, again
    assert "is here, complete, as downloaded at" in again.err
    assert (other.code, damaged.code) == (7, 7)
    assert "does not answer" in other.err
    assert "1 file(s) changed since, such as artifacts/models/tiny/" in damaged.err


def test_kinds_that_are_asked_for_must_be_there(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    run = upload(server, origin)
    done = goemo("download", "--run-id", WHERE, "--root", here.root, "--what", "stats, predictions")
    assert done.code == 0, done
    assert not here.models.exists()
    assert {path.name for path in here.predictions.iterdir()} == {
        path.name for path in origin.predictions.iterdir()
    }
    none = goemo("download", "--run-id", WHERE, "--root", here.root, "--what", "checkpoint,figures")
    assert none.code == 4
    assert "has no figures" in none.err
    assert not here.models.exists()
    run.files = {"output.log": b"nothing of goemo's"}
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 4


def test_a_spoilt_body_is_corrupt_and_leaves_the_older_download_alone(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    run = upload(server, origin)
    goemo("download", "--run-id", WHERE, "--root", here.root)
    before = tree(here)
    name = next(name for name in run.files if name.startswith("predictions/test"))
    run.files[name] += b"one more\n"
    spoil = server.faults.add(method="GET", path="test_predictions", html=True)
    done = goemo("download", "--run-id", WHERE, "--root", here.root, "--what", "predictions")
    assert done.code == 5, done
    assert "bytes of text/html" in done.err
    assert "predictions/test_predictions" in done.err
    assert {path: data for path, data in tree(here).items() if PARTIAL_PREFIX not in path} == before
    server.faults.remove(spoil)
    assert goemo("download", "--run-id", WHERE, "--root", here.root, "--what", "predictions").code == 0
    assert (here.root / "artifacts" / name).read_bytes() == run.files[name]
    assert not list(here.artifacts.glob(f"{PARTIAL_PREFIX}*"))


@pytest.mark.parametrize("name", ["checkpoint/../../../evil.txt", f"checkpoint/{RUN}/METRICS.json"])
def test_hostile_names_refuse_the_whole_run(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout, name: str
):
    upload(server, origin).files[name] = b"evil"
    done = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert done.code == 5, done
    assert "refused: " in done.err
    assert list(here.root.rglob("*")) == []
    assert file_requests(server) == []


def test_links_in_the_destination_are_refused(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout, tmp_path: Path
):
    upload(server, origin)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    here.models.mkdir(parents=True)
    (here.models / "tiny").symlink_to(elsewhere)
    done = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert done.code == 5
    assert "is a symbolic link" in done.err
    assert list(elsewhere.iterdir()) == []


def test_a_checkpoint_must_be_what_its_manifest_says(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    run = upload(server, origin)
    name = f"checkpoint/{RUN}/model.safetensors"
    good = run.files[name]
    run.files[name] = weights()  # as the server declares it, but not as it was trained
    changed = goemo("download", "--run-id", WHERE, "--root", here.root)
    del run.files[name]
    missing = goemo("download", "--run-id", WHERE, "--root", here.root)
    run.files[name] = good
    run.files["predictions/" + f"test_predictions_{RUN[:4]}_{RUN[5:]}.csv"] = b"of somebody else"
    foreign = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert [changed.code, missing.code, foreign.code] == [5, 5, 5]
    assert "another SHA-256 of model.safetensors" in changed.err
    assert "names model.safetensors, which the run does not hold" in missing.err
    assert "another SHA-256 of predictions/test_predictions" in foreign.err
    assert not here.models.exists()
    assert not here.predictions.exists()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_unsafe_weights_are_refused(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout, tmp_path: Path
):
    run = upload(server, origin)
    for name in [name for name in run.files if name.endswith(MANIFEST)]:
        del run.files[name]
    run.files[f"checkpoint/{RUN}/pytorch_model.bin"] = pickle.dumps(Evil())
    evil = goemo("download", "--run-id", WHERE, "--root", here.root)
    del run.files[f"checkpoint/{RUN}/pytorch_model.bin"]
    name = f"checkpoint/{RUN}/model.safetensors"
    sound = run.files[name]
    unsound = {
        b"PK\x03\x04 and more of a torch archive": "pickle under another name",
        (2**60).to_bytes(8, "little") + b"{}": "not a whole safetensors file",
        weights(float("nan")): "a.weight holds numbers that are not finite",
    }
    for content, reason in unsound.items():
        run.files[name] = content
        refused = goemo("download", "--run-id", WHERE, "--root", here.root)
        assert (refused.code, "model.safetensors" in refused.err, reason in refused.err) == (5, True, True), (
            refused
        )
    run.files[name] = sound
    run.files[f"checkpoint/{RUN}/config.json"] = b'{"auto_map": {"AutoModel": "code.Model"}}'
    mapped = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert [evil.code, mapped.code] == [5, 5]
    assert "unsafe: unpickling it would call" in evil.err or "unsafe: its pickle uses" in evil.err
    assert "pytorch_model.bin" in evil.err
    assert "auto_map asks for code" in mapped.err
    assert not here.models.exists()
    assert not list(here.artifacts.glob(f"{PARTIAL_PREFIX}*"))


def test_runs_of_others_are_read(goemo: Goemo, server: WandbServer, here: Layout):
    """Files only, no manifest, the month first in the date."""
    old = "distilbert-12-11-2025-221314"
    server.add_run(
        "team/emotions/x1",
        files={
            f"checkpoint/{old}/config.json": b"{}",
            f"checkpoint/{old}/model.safetensors": weights(),
            f"checkpoint/{old}/training_args.bin": b"a pickle of settings",
            "predictions/test_predictions_distilbert_12-11-2025-221314.csv": b"text,true_labels,pred_labels\n",
            "stats/per_class_metrics_distilbert_12-11-2025-221314.csv": b"rank,emotion\n",
            "stats/metric_summary.csv": b"run\n",
        },
    )
    url = "https://wandb.ai/team/emotions/runs/x1?nw=nwuser"
    done = goemo("download", "--run-id", url, "--root", here.root)
    assert done.code == 0, done
    assert sorted(tree(here)) == [
        "artifacts/models/distilbert/distilbert-20251211-221314/config.json",
        "artifacts/models/distilbert/distilbert-20251211-221314/model.safetensors",
        "artifacts/predictions/test_predictions_distilbert_20251211-221314.csv",
        "artifacts/stats/metric_summary.csv",
        "artifacts/stats/per_class_metrics_distilbert_20251211-221314.csv",
    ]
    assert "came without manifest.json" in done.err
    assert "training_args.bin" in done.err
    server.requests.clear()
    assert goemo("download", "--run-id", url, "--root", here.root).code == 0
    assert file_requests(server) == []


def add_artifacts(server: WandbServer, layout: Layout, run: Run, algorithm: str = "MD5") -> None:
    files = names_of(layout)
    kinds = {
        "checkpoint": f"checkpoint/{RUN}/",
        "test-predictions": "predictions/test_",
        "per-class-metrics": "stats/per_",
    }
    for kind, begin in kinds.items():
        server.add_artifact(
            f"tester/goemo/tiny-{kind}-abc123",
            {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith(begin)},
            logged_by=run,
            aliases=["best"],
            algorithm=algorithm,
        )


def test_artifacts_stand_in_for_files(goemo: Goemo, server: WandbServer, origin: Layout, here: Layout):
    run = server.add_run(WHERE, files={"output.log": b""}, state="finished")
    add_artifacts(server, origin, run, "XXH128")
    done = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert done.code == 0, done
    home = next(here.checkpoints())
    assert tree(Layout(home)) == tree(Layout(next(origin.checkpoints())))
    assert len(list(here.predictions.iterdir())) == 1
    server.requests.clear()
    again = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert "Nothing to fetch" in again.out
    assert [path for path in file_requests(server) if "/manifests/" not in path] == []


def test_one_version_of_an_artifact_is_downloaded(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout, tmp_path: Path
):
    run = server.add_run(WHERE)
    add_artifacts(server, origin, run)
    newer = trained(tmp_path / "newer", val=0.9)
    add_artifacts(server, newer, run)
    name = "tiny-checkpoint-abc123"
    first = goemo("download", "--artifact", f"{name}:v0", "--root", here.root)
    assert first.code == 0, first
    home = next(here.checkpoints())
    assert (home / METRICS).read_bytes() == (next(origin.checkpoints()) / METRICS).read_bytes()
    second = goemo("download", "--artifact", f"tester/goemo/{name}:best", "--root", here.root, "--json")
    assert second.document["source"] == f"tester/goemo/{name}:v1"
    assert tree(Layout(home)) == tree(Layout(next(newer.checkpoints())))
    assert goemo("download", "--artifact", f"{name}:v7", "--root", here.root).code == 4
    assert goemo("download", "--artifact", "somebody/else:v0", "--root", here.root).code == 2


def test_references_and_hostile_names_in_artifacts_are_refused(
    goemo: Goemo, server: WandbServer, here: Layout
):
    run = server.add_run(WHERE)
    name = "tester/goemo/tiny-checkpoint-abc123"
    version = server.add_artifact(
        name, {"config.json": b"{}", MANIFEST: b'{"run": "tiny-20260101-000000"}'}, logged_by=run
    )
    version.manifest["contents"]["secret"] = {"ref": "file:///etc/passwd", "digest": "x", "size": 1}
    reference = goemo("download", "--run-id", WHERE, "--root", here.root)
    evil = server.add_artifact(name, {"../../evil": b"evil", "config.json": b"{ }"}, logged_by=run)
    hostile = goemo("download", "--artifact", f"{name}:{evil.name.partition(':')[2]}", "--root", here.root)
    assert [reference.code, hostile.code] == [5, 5], (reference, hostile)
    assert "is a reference to" in reference.err
    assert "refused" in hostile.err
    assert not here.models.exists()


def test_the_best_run_is_chosen_by_its_best_epoch(
    goemo: Goemo, server: WandbServer, tmp_path: Path, here: Layout
):
    rows = [{"epoch": 1, "val/auc": 0.9, "val/loss": 1.0}, {"epoch": 2, "val/auc": 0.5, "val/loss": 0.5}]
    first = trained(tmp_path / "first")
    second = trained(tmp_path / "second", "tiny-20260102-000000")
    upload(server, first, "tester/goemo/aaa", history=rows, summary={"best_epoch": 1, "val/auc": 0.5})
    upload(server, second, "tester/goemo/bbb", summary={"val/auc": 0.8, "val/loss": 0.2})
    server.add_run("tester/goemo/ccc", summary={"val/auc": 0.99}, state="crashed")
    done = goemo("download", "--best", "val/auc", "--root", here.root, "--json")
    assert done.document["source"] == "tester/goemo/aaa"
    lowest = goemo("download", "--best", "val/loss", "--root", here.root, "--json")
    assert lowest.document["source"] == "tester/goemo/bbb"
    assert goemo("download", "--best", "val/nothing", "--root", here.root).code == 4
    test = goemo("download", "--best", "test/f1_macro", "--root", here.root)
    assert test.code == 2
    assert "choose by val/f1_macro" in test.err


def test_somebodys_own_version_is_not_replaced_unasked(
    goemo: Goemo, server: WandbServer, origin: Layout, tmp_path: Path
):
    upload(server, origin)
    own = trained(tmp_path / "own", val=0.7)
    before = tree(own)
    refused = goemo("download", "--run-id", WHERE, "--root", own.root)
    assert refused.code == 9, refused
    assert "--overwrite" in refused.err
    assert tree(own) == before
    assert goemo("download", "--run-id", WHERE, "--root", own.root, "--overwrite").code == 0
    assert tree(own) == tree(origin)


def test_an_interrupted_download_goes_on(goemo: Goemo, server: WandbServer, origin: Layout, here: Layout):
    upload(server, origin)
    gone = server.faults.add(method="GET", path="per_class_metrics", status=404)
    failed = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert failed.code == 4, failed
    assert not here.models.exists()
    server.faults.remove(gone)
    # Which files had arrived by then is the threads' affair; those that had are not fetched again.
    staged = {path.name for path in here.artifacts.rglob("*.safetensors")}
    server.requests.clear()
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
    assert not staged & {Path(path).name for path in file_requests(server)}
    assert tree(here) == tree(origin)


@pytest.mark.skipif(not can_mount(), reason="needs the permission to mount")
def test_a_full_disk_is_named_and_the_download_can_be_repeated(
    goemo: Goemo, server: WandbServer, origin: Layout, here: Layout
):
    upload(server, origin)
    with tmpfs(here.root, "size=200m"):
        for left in (0, 8_192):
            with full(here.root, left=left):
                done = goemo("download", "--run-id", WHERE, "--root", here.root)
                assert (done.code, done.bug) == (8, None), done
                assert "\n  free some space, or choose another folder" in done.err
                assert [*here.checkpoints()] == []
        assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
        assert tree(here) == tree(origin)


def test_two_downloads_of_one_run_do_not_mix(goemo: Goemo, server: WandbServer, origin: Layout, here: Layout):
    upload(server, origin)
    with open_stage(here, WHERE):
        busy = goemo("download", "--run-id", WHERE, "--root", here.root)
    assert busy.code == 9
    assert "another goemo download of tester/goemo/abc123" in busy.err
    assert goemo("download", "--run-id", WHERE, "--root", here.root).code == 0
    assert tree(here) == tree(origin)


@pytest.mark.slow
def test_ctrl_c_ends_a_silent_download(server: WandbServer, origin: Layout, here: Layout, place: Path):
    upload(server, origin)
    silent = server.faults.add(method="GET", path="model.safetensors", silence=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "goemo_cli", "download", "--run-id", WHERE, "--root", str(here.root)],
        env=environment(server, place),
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(lambda: silent.hits, process=process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=GUARD_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    server.faults.clear()
    assert not here.models.exists()


def test_the_remote_copy_is_compared(goemo: Goemo, server: WandbServer, origin: Layout):
    run = upload(server, origin)
    add_artifacts(server, origin, run)
    for name in (RUN, "@latest", "abc123", WHERE):
        fine = goemo("validate", "--wandb", name, "--root", origin.root)
        assert fine.code == 0, fine
    assert file_requests(server) == [path for path in file_requests(server) if "/manifests/" in path]
    weights, table = f"checkpoint/{RUN}/model.safetensors", f"stats/per_class_metrics_{RUN[:4]}_{RUN[5:]}.csv"
    run.files[weights] = run.files[weights][::-1]
    run.files[table] += b"more"
    del run.files[f"checkpoint/{RUN}/{METRICS}"]
    found = goemo("validate", "--wandb", RUN, "--root", origin.root, "--json")
    assert found.code == 3
    said = {Path(one["path"]).name: one["message"] for one in found.document["problems"]}
    assert sorted(said) == sorted(["model.safetensors", Path(table).name, METRICS])
    assert "differs from" in said["model.safetensors"]
    assert "has 5 bytes" in said[Path(table).name]
    assert "is missing in the files of" in said[METRICS]
    assert goemo("validate", "--wandb", "unknown1", "--root", origin.root).code == 4
    assert goemo("validate", "--wandb", RUN, "--fix", "--root", origin.root).code == 2


def test_a_half_uploaded_run_is_told(goemo: Goemo, server: WandbServer, origin: Layout):
    run = upload(server, origin)
    add_artifacts(server, origin, run)
    version = server.artifacts["tester/goemo/tiny-checkpoint-abc123"].versions[0]
    del version.manifest["contents"]["model.safetensors"]
    run.state = "running"
    found = goemo("validate", "--wandb", RUN, "--root", origin.root, "--json")
    assert found.code == 3
    said = " ".join(one["message"] for one in found.document["problems"])
    assert "still running on W&B" in said
    assert "is missing in the W&B artifact tester/goemo/tiny-checkpoint-abc123:v0" in said


def test_weights_are_plain_state_dicts_or_refused(tmp_path: Path):
    import torch

    state = {
        "a": torch.ones(2, 3),
        "b": torch.ones(2, dtype=torch.bfloat16),
        "c": torch.nn.Parameter(torch.ones(1)),
    }
    for legacy in (False, True):
        path = tmp_path / f"plain-{legacy}.bin"
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        require_plain_weights(path)
        torch.save({"a": torch.ones(1), "b": Evil()}, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CorruptArtifactError, match=r"posix\.system"):
            require_plain_weights(path)
    twice = tmp_path / "twice.bin"
    torch.save(state, twice)
    with zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("other/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(CorruptArtifactError, match="2 pickles"):
        require_plain_weights(twice)
    for content in (b"", b"PK\x03\x04 cut", b"no pickle at all", pickle.dumps({}, protocol=2)):
        (tmp_path / "odd.bin").write_bytes(content)
        with pytest.raises(CorruptArtifactError):
            require_plain_weights(tmp_path / "odd.bin")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("roberta-large-checkpoint-a71b9ddo", ("checkpoint", "a71b9ddo")),
        ("a-b-test-predictions-x-y", ("predictions", "x-y")),
        ("m-per-class-metrics-1", ("stats", "1")),
        ("run-a71b9ddo-history", None),
    ],
)
def test_names_of_artifacts_say_kind_and_run(name: str, parts: tuple[str, str] | None):
    found = ArtifactName.parse(name)
    assert (found and (found.what, found.run_id)) == parts

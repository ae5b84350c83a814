"""The W&B server of the tests against the real SDK in processes of its own, and its faults against plain HTTP."""

import base64
import http.client
import importlib
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.processes import python
from tests.waiting import GUARD_SECONDS
from tests.wandb_server import WandbServer
from tests.wandb_server.graphql import parse
from tests.wandb_server.store import md5


@pytest.fixture
def sdk(wandb_server: WandbServer, tmp_path: Path) -> Any:
    """Run a program with the SDK pointed at the server: `sdk(program)` gives what its `answer(...)` was given."""

    def run(program: str, **environment: str) -> Any:
        whole = f"import json, sys, wandb\ndef answer(value): sys.stdout.write(json.dumps(value))\n{textwrap.dedent(program)}"
        variables = wandb_server.environment(tmp_path) | {"WANDB_SILENT": "true"} | environment
        done = python("-c", whole, env=variables, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert wandb_server.unanswered == []
        return json.loads(done.stdout) if done.stdout else None

    return run


def get(
    server: WandbServer, path: str, *, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes]:
    """One request with the key: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=GUARD_SECONDS)
    try:
        connection.request(method, path, body, headers={"Authorization": "Basic " + _basic(server.key)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _basic(key: str) -> str:
    return base64.b64encode(f"api:{key}".encode()).decode()


# --- the SDK, end to end ---


@pytest.mark.slow  # goemo's own tests meet the same
def test_a_run_arrives_and_is_read_back(wandb_server: WandbServer, sdk: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "a b#é.bin").write_bytes(bytes(range(256)))
    sdk(
        """
    with wandb.init(project="p", id="r1", name="first", tags=["t"], notes="n", group="g", config={"lr": 1e-3}) as run:
        for step in range(5):
            run.log({"val/auc": step / 10})
        run.summary["best_epoch"] = 3
        run.log({"table": wandb.Table(columns=["a"], data=[["x"]])})
        run.save("checkpoint/*", base_path=".", policy="now")
    """,
        WANDB_X_FILE_STREAM_NO_GZIP="false",
    )
    run = wandb_server.runs["tester/p/r1"]
    assert (run.state, run.exit_code, run.name, run.tags, run.notes, run.group) == (
        "finished",
        0,
        "first",
        ["t"],
        "n",
        "g",
    )
    assert run.config == {"lr": 1e-3}
    assert [(row["_step"], row.get("val/auc")) for row in run.history] == [
        *((step, step / 10) for step in range(5)),
        (5, None),
    ]
    assert run.summary["best_epoch"] == 3
    assert run.files["checkpoint/a b#é.bin"] == bytes(range(256))
    assert any(name.startswith("media/table/") for name in run.files)
    assert wandb_server.artifacts["tester/p/run-r1-table"].type == "run_table"

    answer = sdk("""
    run = wandb.Api().run("tester/p/r1")
    files = {file.name: [file.size, file.md5] for file in run.files(per_page=2)}
    for name in files:
        run.file(name).download(root="down").close()
    answer([run.config, run.state, dict(run.summary)["best_epoch"], files,
            [row.get("val/auc") for row in run.scan_history()], run.history(pandas=False, keys=["val/auc"])])
    """)
    config, state, best, files, history, sampled = answer
    assert (config, state, best) == ({"lr": 1e-3}, "finished", 3)
    assert files == {name: [len(data), md5(data)] for name, data in run.files.items()}
    for name, data in run.files.items():
        assert (tmp_path / "down" / name).read_bytes() == data
    assert history == [0, 0.1, 0.2, 0.3, 0.4, None]
    assert [row["val/auc"] for row in sampled] == history[:-1]


@pytest.mark.slow  # goemo's own tests meet the same
def test_artifacts_arrive_with_versions_aliases_and_lineage(
    wandb_server: WandbServer, sdk: Any, tmp_path: Path
) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "weights.bin").write_bytes(b"one")
    (tmp_path / "model" / "sub" / "config.json").write_text("{}")
    answer = sdk("""
    from pathlib import Path
    def log(name, type, alias):
        artifact = wandb.Artifact(name, type, metadata={"alias": alias})
        artifact.add_dir("model")
        artifact = run.log_artifact(artifact, aliases=[alias]).wait()
        return [artifact.version, sorted(artifact.aliases)]
    with wandb.init(project="p", id="r1") as run:
        said = [log("data", "dataset", "raw")]
        run.use_artifact("data:raw")
        said += [log("m", "model", "first"), log("m", "model", "again")]
        Path("model/weights.bin").write_bytes(b"two")
        said += [log("m", "model", "first")]
        artifact = run.use_artifact("m:first")
        artifact.metadata["more"] = 1
        artifact.aliases.append("best")
        artifact.save()
        run.link_artifact(artifact, "tester/p/chosen", aliases=["prod"])
    answer(said)
    """)
    assert answer == [
        ["v0", ["latest", "raw"]],
        ["v0", ["first", "latest"]],
        ["v0", ["again", "first", "latest"]],
        ["v1", ["first", "latest"]],
    ]
    model, run = wandb_server.artifacts["tester/p/m"], wandb_server.runs["tester/p/r1"]
    assert [version.files for version in model.versions] == [
        {"weights.bin": b"one", "sub/config.json": b"{}"},
        {"weights.bin": b"two", "sub/config.json": b"{}"},
    ]
    assert {alias: version.index for alias, version in model.aliases.items()} == {
        "again": 0,
        "first": 1,
        "latest": 1,
        "best": 1,
    }
    assert model.versions[1].metadata == {"alias": "first", "more": 1}
    assert [version.name for version in run.logged] == ["data:v0", "m:v0", "m:v1"]
    assert [version.name for version in run.used] == ["data:v0", "m:v1"]
    assert wandb_server.artifacts["tester/p/data"].versions[0].used_by == [run]
    assert wandb_server.artifacts["tester/p/chosen"].aliases["prod"] is model.versions[1]
    uploads = [one for one in wandb_server.asked("PUT", "/storage/artifacts") if "config.json" in one.path]
    assert len(uploads) == 1  # the server had the contents when the other versions came

    answer = sdk("""
    from pathlib import Path
    api = wandb.Api()
    artifact = api.artifact("p/m:best")
    artifact.download(root="down")
    artifact.verify("down")
    api.artifact("p/m:v0").download(root="old")
    run = api.run("p/r1")
    answer([artifact.version, artifact.type, artifact.metadata, artifact.logged_by().id,
            [run.id for run in artifact.used_by()],
            [one.name for one in run.logged_artifacts()], [one.name for one in run.used_artifacts()],
            [one.name for one in api.artifacts("model", "p/m")], [one.name for one in artifact.files()],
            [one.name for one in api.artifact_types("p")], api.artifact_exists("p/no:latest")])
    """)
    assert answer[:3] == ["v1", "model", {"alias": "first", "more": 1}]
    assert answer[3:5] == ["r1", ["r1"]]
    assert answer[5:7] == [["data:v0", "m:v0", "m:v1"], ["data:v0", "m:v1"]]
    assert answer[7:] == [
        ["m:v1", "m:v0"],
        ["sub/config.json", "weights.bin"],
        ["dataset", "model"],
        False,
    ]
    assert (tmp_path / "down" / "weights.bin").read_bytes() == b"two"
    assert (tmp_path / "old" / "weights.bin").read_bytes() == b"one"


@pytest.mark.slow  # goemo's own tests meet the same
def test_runs_are_resumed_and_synced(wandb_server: WandbServer, sdk: Any, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("saved")
    log = """
    def log(id, resume):
        with wandb.init(project="p", id=id, resume=resume, config={"a": 1}) as run:
            said = [run.resumed, run.starting_step]
            for step in range(3):
                run.log({"x": step})
            run.save("s.txt", policy="now")
            artifact = wandb.Artifact(f"art-{id}", "model")
            artifact.add_file("s.txt")
            run.log_artifact(artifact)
        return said
    """
    assert sdk(log + 'answer([log("on", "allow"), log("on", "must")])') == [[False, 0], [True, 3]]
    rows = [(row["_step"], row["x"]) for row in wandb_server.runs["tester/p/on"].history]
    assert rows == [*enumerate([0, 1, 2, 0, 1, 2])]

    sdk(log + 'log("off", "allow")', WANDB_MODE="offline")
    assert "tester/p/off" not in wandb_server.runs
    [folder] = tmp_path.glob("wandb/offline-run-*")
    for _ in range(2):
        words = ("-m", "wandb", "sync", "--yes", "--no-skip-synced", folder)
        done = python(*words, env=wandb_server.environment(tmp_path), cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        run = wandb_server.runs["tester/p/off"]
        assert [(row["_step"], row["x"]) for row in run.history] == [(0, 0), (1, 1), (2, 2)]
        assert (run.state, run.config, run.files["s.txt"]) == ("finished", {"a": 1}, b"saved")
        assert [version.name for version in run.logged] == ["art-off:v0"]


@pytest.mark.slow  # goemo's own tests meet the same
def test_runs_are_listed_by_filter_and_order_over_pages(wandb_server: WandbServer, sdk: Any) -> None:
    for number in range(5):
        wandb_server.add_run(
            f"team/p/r{number}",
            config={"lr": number},
            summary={"val/auc": (number * 3) % 5},
            state="failed" if number == 4 else "finished",
            tags=["odd"] if number % 2 else [],
        )
    answer = sdk("""
    def ids(path, **asked):
        return [run.id for run in wandb.Api().runs(path, per_page=2, **asked)]
    def fails(ask):
        try:
            ask()
        except Exception as error:
            return [type(error).__name__, str(error)]
    api = wandb.Api()
    answer([ids("team/p"), ids("team/p", order="-summary_metrics.val/auc"), ids("team/p", filters={"state": "finished"}),
            ids("team/p", filters={"config.lr": {"$gt": 2}}), ids("team/p", filters={"tags": "odd"}),
            len(api.runs("team/p", filters={"state": "failed"})), api.run("team/p/r1").summary["val/auc"],
            fails(lambda: ids("team/no")), fails(lambda: api.run("team/p/no")),
            fails(lambda: api.artifact("team/p/no:latest")),
            fails(lambda: wandb.init(project="p", entity="nobody"))])
    """)
    assert answer[0] == ["r0", "r1", "r2", "r3", "r4"]
    assert answer[1] == ["r3", "r1", "r4", "r2", "r0"]
    assert answer[2:7] == [["r0", "r1", "r2", "r3"], ["r3", "r4"], ["r1", "r3"], 1, 3]
    assert [kind for kind, _ in answer[7:]] == ["ValueError", "CommError", "CommError", "CommError"]


# --- without the SDK ---


def test_every_document_of_the_sdk_can_be_parsed() -> None:
    """Those of the installed package; the ones of wandb-core are asked for by the tests above."""
    generated = importlib.import_module("wandb.sdk.artifacts._generated.operations")
    documents = [getattr(generated, name) for name in generated.__all__]
    assert len(documents) > 40
    assert all(parse(text).selections for text in documents)

"""The W&B server of the tests against the real SDK in processes of its own, and its faults against plain HTTP."""

import base64
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import GUARD_SECONDS, wait_for
from tests.wandb_server import KEY, QUICK, WandbServer
from tests.wandb_server.files import SIGNATURE
from tests.wandb_server.filestream import take
from tests.wandb_server.filters import matches, ordered
from tests.wandb_server.graphql import Answering, GraphQLError, parse
from tests.wandb_server.queries import like
from tests.wandb_server.store import HISTORY, Run, md5

HELLO = b"hello world " * 100


@pytest.fixture
def sdk(wandb_server: WandbServer, tmp_path: Path) -> Any:
    """Run a program with the SDK pointed at the server: `sdk(program)` gives what its `answer(...)` was given."""

    def run(program: str, **environment: str) -> Any:
        whole = f"import json, sys, wandb\ndef answer(value): sys.stdout.write(json.dumps(value))\n{textwrap.dedent(program)}"
        done = subprocess.run(
            [sys.executable, "-c", whole],
            env=os.environ | wandb_server.environment(tmp_path) | {"WANDB_SILENT": "true"} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )
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


def ask(server: WandbServer, query: str, **variables: Any) -> Any:
    """The `data` of a GraphQL request."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    status, answer = get(server, "/graphql", method="POST", body=body)
    assert status == 200, answer
    return json.loads(answer)["data"]


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
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", "--yes", "--no-skip-synced", str(folder)],
            env=os.environ | wandb_server.environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=GUARD_SECONDS,
            check=False,
        )
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


@pytest.mark.slow  # goemo's own tests meet the same
def test_a_wrong_key_is_refused(wandb_server: WandbServer, sdk: Any) -> None:
    answer = sdk(
        """
    def fails(ask):
        try:
            ask()
        except Exception as error:
            return [type(error).__name__, str(error)]
    answer([fails(wandb.Api), fails(lambda: wandb.init(project="p"))])
    """,
        WANDB_API_KEY="f" * 40,
    )
    assert [kind for kind, _ in answer] == ["AuthenticationError", "CommError"]
    assert all("not logged in" in text for _, text in answer)
    assert {one.status for one in wandb_server.requests} == {401}
    assert wandb_server.runs == {}


DOWNLOAD = """
import os
said = {}
run, artifact = wandb.Api().run("p/r"), wandb.Api().artifact("p/a:latest")
for file in run.files():
    try:
        file.download(root="run", replace=True).close()
        said[file.name] = open("run/" + file.name, "rb").read().decode("latin1")
    except Exception as error:
        said[file.name] = type(error).__name__
try:
    artifact.download(root="artifact")
    artifact.verify("artifact")
    said["artifact"] = "verified"
except Exception as error:
    said["artifact"] = type(error).__name__
answer(said)
"""


@pytest.mark.slow  # goemo's own tests meet the same
def test_the_sdk_meets_the_faults(wandb_server: WandbServer, sdk: Any) -> None:
    names = ["changed", "short", "page", "cut", "gone", "limited", "good"]
    wandb_server.add_run("tester/p/r", files=dict.fromkeys(names, HELLO))
    wandb_server.add_artifact("tester/p/a", {"weights": HELLO, "good": b"good"})
    faults = wandb_server.faults
    faults.add(path="^/files/.*/changed$", change=True)
    faults.add(path="^/files/.*/short$", short=0.5)
    faults.add(path="^/files/.*/page$", html=True)
    faults.add(path="^/files/.*/cut$", truncate=0.5)
    faults.add(path="^/files/.*/gone$", status=404)
    limited = faults.add(path="^/files/.*/limited$", status=429, retry_after=0, times=1)
    faults.add(path="^/storage/artifacts/.*/weights$", change=True)
    answer = sdk(DOWNLOAD)
    assert answer["changed"] != HELLO.decode()
    assert len(answer["changed"]) == len(HELLO)
    assert answer["short"] == HELLO[:600].decode()
    assert "sign in" in answer["page"]
    assert (answer["cut"], answer["gone"], answer["artifact"]) == ("CommError", "CommError", "ValueError")
    assert answer["limited"] == answer["good"] == HELLO.decode()
    assert limited.hits == 1


@pytest.mark.slow  # goemo's own tests meet the same
def test_hostile_names_reach_the_sdk(wandb_server: WandbServer, sdk: Any, tmp_path: Path) -> None:
    names = ["../../x", str(tmp_path / "evil"), "a/../../y", "..\\z", ".", "", "n" * 5000, "ok/f.txt"]
    wandb_server.add_run("tester/p/r", files=dict.fromkeys(names, b"h"))
    wandb_server.add_artifact("tester/p/a", {"../../x": b"h"})
    answer = sdk(DOWNLOAD)
    assert answer.pop("ok/f.txt") == "h"
    assert answer.pop("artifact") == "ValueError"
    assert set(answer) == set(names) - {"ok/f.txt"}
    assert not (tmp_path / "evil").exists()
    for name in names:  # they are refused by the SDK, not by this server
        run = wandb_server.queries.run_file(wandb_server.runs["tester/p/r"], name)
        assert get(wandb_server, run["url"].removeprefix(wandb_server.url)) == (200, b"h")


@pytest.mark.slow  # goemo's own tests meet the same
def test_a_run_survives_a_stop_of_the_server(wandb_server: WandbServer, tmp_path: Path) -> None:
    program = """
import sys, wandb
with wandb.init(project="p", id="mid") as run:
    for number in range(6):
        run.log({"x": number})
        if number == 2:
            sys.stdin.readline()
"""
    environment = os.environ | wandb_server.environment(tmp_path) | QUICK
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        runs = wandb_server.runs
        wait_for(lambda: "tester/p/mid" in runs and len(runs["tester/p/mid"].history) == 3, process=process)
        wandb_server.stop()
        process.stdin.write(b"\n")
        process.stdin.flush()
        with pytest.raises(ConnectionRefusedError):
            get(wandb_server, "/graphql")
        assert [row["x"] for row in runs["tester/p/mid"].history] == [0, 1, 2]
        assert runs["tester/p/mid"].state == "running"
        wandb_server.start()
        assert process.wait(GUARD_SECONDS) == 0
    assert [row["x"] for row in runs["tester/p/mid"].history] == list(range(6))
    assert runs["tester/p/mid"].state == "finished"


# --- without the SDK ---


def test_faults_do_what_they_say(wandb_server: WandbServer) -> None:
    run = wandb_server.add_run("tester/p/r", files={"f": HELLO})
    path, faults = "/files/tester/p/r/f", wandb_server.faults
    assert get(wandb_server, path) == (200, HELLO)

    twice = faults.add(path="f$", status=503, times=2, after=1, message="busy")
    assert [get(wandb_server, path)[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert (twice.seen, twice.hits) == (5, 2)
    faults.remove(twice)

    changed = faults.add(method="GET", change=True)
    status, body = get(wandb_server, path)
    assert (status, len(body)) == (200, len(HELLO))
    assert body != HELLO
    faults.remove(changed)

    for fault, length in (
        ({"short": 0.25}, 300),
        ({"longer": 7}, 1207),
        ({"rewrite": lambda body: b"abc"}, 3),
    ):
        added = faults.add(path="f$", **fault)
        assert len(get(wandb_server, path)[1]) == length
        faults.remove(added)

    cut = faults.add(path="f$", truncate=0.5)
    with pytest.raises(http.client.IncompleteRead) as error:
        get(wandb_server, path)
    assert (len(error.value.partial), error.value.expected) == (600, 600)
    faults.remove(cut)

    dropped = faults.add(path="f$", drop=True)
    with pytest.raises(http.client.RemoteDisconnected):
        get(wandb_server, path)
    faults.remove(dropped)

    late = faults.add(method="PUT", status=500, late=True, times=1)
    stored = f"/storage/runs/tester/p/r/new?{SIGNATURE}"
    assert get(wandb_server, stored, method="PUT", body=b"late")[0] == 500
    assert (run.files["new"], late.hits) == (b"late", 1)

    other = faults.add(operation="Viewer", status=500)
    assert ask(wandb_server, "query Other { viewer { entity } }") == {"viewer": {"entity": "tester"}}
    assert other.hits == 0
    faults.clear()
    assert get(wandb_server, path) == (200, HELLO)


@pytest.mark.parametrize("end", ["removed", "stopped"])
def test_a_silence_lasts_until_it_is_ended(wandb_server: WandbServer, end: str) -> None:
    wandb_server.add_run("tester/p/r", files={"f": HELLO})
    silence = wandb_server.faults.add(path="f$", silence=True)
    connection = http.client.HTTPConnection("127.0.0.1", wandb_server.port, timeout=0.2)
    connection.request("GET", "/files/tester/p/r/f")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()

    connection = http.client.HTTPConnection("127.0.0.1", wandb_server.port, timeout=GUARD_SECONDS)
    connection.request("GET", "/files/tester/p/r/f")
    wait_for(lambda: silence.hits == 2)
    if end == "removed":
        wandb_server.faults.remove(silence)
    else:
        wandb_server.stop()
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


def test_keys_and_signatures_are_asked_for(wandb_server: WandbServer) -> None:
    wandb_server.add_run("tester/p/r", files={"f": HELLO})
    for path, status in (
        ("/files/tester/p/r/f", 401),
        ("/graphql", 401),
        ("/storage/runs/tester/p/r/f", 403),
        (f"/storage/runs/tester/p/r/f?{SIGNATURE}", 200),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", wandb_server.port, timeout=GUARD_SECONDS)
        connection.request("GET", path, headers={"Authorization": "Basic " + _basic("x" * 40)})
        assert connection.getresponse().status == status, path
        connection.close()


def test_files_are_listed_by_name_and_pattern_and_may_be_lied_about(wandb_server: WandbServer) -> None:
    run = wandb_server.add_run("team/p/r", files={"a.csv": b"1", "b/a.csv": b"22", "c.txt": b"333"})
    run.declared["c.txt"] = {"sizeBytes": 1, "md5": "bGllcw=="}
    query = """query Q($names: [String], $like: String) { project(name: "p", entityName: "team") { run(name: "r") {
        fileCount files(names: $names, pattern: $like) { edges { node { name sizeBytes md5 } } } } } }"""

    def listed(**asked: Any) -> list[tuple[str, int, str]]:
        run = ask(wandb_server, query, **asked)["project"]["run"]
        assert run["fileCount"] == 3
        return [tuple(edge["node"].values()) for edge in run["files"]["edges"]]

    everything = [("a.csv", 1, md5(b"1")), ("b/a.csv", 2, md5(b"22")), ("c.txt", 1, "bGllcw==")]
    assert listed() == everything
    assert listed(names=["c.txt", "no"]) == everything[2:]
    assert listed(like="%a.csv") == everything[:2]


def test_uploads_are_verified(wandb_server: WandbServer) -> None:
    wandb_server.store.run("tester", "p", "r")
    run = {"entityName": "tester", "projectName": "p", "runName": "r"}
    create = "mutation M($input: I!) { createArtifact(input: $input) { artifact { id state } } }"
    artifact = {"artifactTypeName": "model", "artifactCollectionName": "m", "digest": "0" * 32}
    made = ask(wandb_server, create, input={**run, **artifact})["createArtifact"]["artifact"]
    assert made["state"] == "PENDING"

    announce = """mutation M($input: I!) {
        createArtifactFiles(input: $input) { files { edges { node { uploadUrl } } } }
    }"""
    wanted = {"artifactID": made["id"], "name": "f", "md5": md5(b"right")}
    answer = ask(wandb_server, announce, input={"artifactFiles": [wanted]})
    url = answer["createArtifactFiles"]["files"]["edges"][0]["node"]["uploadUrl"].removeprefix(
        wandb_server.url
    )
    assert get(wandb_server, url, method="PUT", body=b"wrong")[0] == 400
    assert get(wandb_server, url.replace("/f?", "/g?"), method="PUT", body=b"right")[0] == 404
    commit = "mutation M($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id } } }"
    assert ask(wandb_server, commit, id=made["id"]) is None  # nothing arrived
    [version] = wandb_server.store.artifacts.values()
    version.manifest = {"contents": {"f": {"digest": md5(b"right"), "size": 5}}}
    assert ask(wandb_server, commit, id=made["id"]) is None  # a file is missing
    assert get(wandb_server, url, method="PUT", body=b"right")[0] == 200
    assert ask(wandb_server, commit, id=made["id"]) is None  # the digest was made up
    assert wandb_server.artifacts == {}
    version.digest = version.computed_digest
    assert ask(wandb_server, commit, id=made["id"])["commitArtifact"]["artifact"]["id"] == made["id"]
    assert wandb_server.artifacts["tester/p/m"].aliases == {"latest": version}


def test_half_an_upload_is_none(wandb_server: WandbServer) -> None:
    run = wandb_server.add_run("tester/p/r")
    head = f"PUT /storage/runs/tester/p/r/f?{SIGNATURE} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection(("127.0.0.1", wandb_server.port), timeout=GUARD_SECONDS) as connection:
        connection.sendall(head.encode() + b"half")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert run.files == {}


def test_the_file_stream_heeds_offsets() -> None:
    run = Run("e", "p", "r", 1)

    def rows(offset: int, *steps: int) -> None:
        lines = [json.dumps({"_step": step, "x": 10 * step + offset}) for step in steps]
        take(run, {"files": {HISTORY: {"offset": offset, "content": lines}}})

    rows(0, 0, 1)
    rows(0, 0, 1)
    rows(2, 2)
    assert [row["x"] for row in run.history] == [0, 10, 22]
    rows(3, 1, 2)  # a sync that sends rows again, after those that are there
    assert [(row["_step"], row["x"]) for row in run.history] == [(0, 0), (1, 13), (2, 23)]
    assert len(run.lines[HISTORY]) == 5
    take(run, {"complete": True, "exitcode": 143})
    assert (run.state, run.exit_code) == ("failed", 143)


def test_graphql_is_cut_to_what_is_asked() -> None:
    text = """#graphql
    query Q($n: [Int!]! = [1, 2], $yes: Boolean!, $none: String) {
      a: thing(n: $n, o: {k: "v \\"x\\"", e: ENUM, f: -1.5}) { ...F, ... on Other { no } ... on Thing { on } }
      gone @include(if: $yes) { x }
      gone2: gone @skip(if: true) { x }
      list { id }
      unknown
    }
    fragment F on Thing { __typename id @include(if: $yes) }
    """
    asked: list[dict[str, Any]] = []
    missing: list[str] = []

    def thing(arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments)
        return {"__typename": "Thing", "id": 7, "on": True, "no": "not asked for"}

    root = {"thing": thing, "gone": None, "list": [{"id": 1, "x": 2}, {"id": 3}]}
    answer = Answering(parse(text), {"yes": True}, missing.append).answer(root)
    assert answer == {
        "a": {"__typename": "Thing", "id": 7, "on": True},
        "gone": None,
        "list": [{"id": 1}, {"id": 3}],
        "unknown": None,
    }
    assert asked == [{"n": [1, 2], "o": {"k": 'v "x"', "e": "ENUM", "f": -1.5}}]
    assert missing == ["Query.unknown"]
    with pytest.raises(GraphQLError, match="Syntax error"):
        parse("query { a(")


def test_every_document_of_the_sdk_can_be_parsed() -> None:
    """Those of the installed package; the ones of wandb-core are asked for by the tests above."""
    generated = importlib.import_module("wandb.sdk.artifacts._generated.operations")
    documents = [getattr(generated, name) for name in generated.__all__]
    assert len(documents) > 40
    assert all(parse(text).selections for text in documents)


def test_filters_and_orders() -> None:
    runs = [Run("e", "p", f"r{n}", n, summary={"auc": value}) for n, value in enumerate([0.5, None, 0.7])]
    runs[0].raw_config = {"model": {"value": {"name": "tiny"}}}
    assert [run.id for run in ordered(runs, "-summary_metrics.auc")] == ["r2", "r0", "r1"]
    assert matches(runs[0], {"$and": [{"config.model.value.name": "tiny"}, {"name": {"$in": ["r0", "r9"]}}]})
    assert matches(runs[1], {"$or": [{"state": "finished"}, {"summary_metrics.auc": {"$exists": False}}]})
    assert not matches(runs[2], {"summary_metrics.auc": {"$gte": 0.5, "$lt": 0.7}})
    with pytest.raises(GraphQLError, match="unknown operator"):
        matches(runs[0], {"state": {"$near": 1}})
    assert [name for name in ("a.json", "b.txt", "dir/a.json") if like(name, "%.json")] == [
        "a.json",
        "dir/a.json",
    ]


def test_it_serves_by_itself(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.wandb_server"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip().removeprefix("export WANDB_BASE_URL=")
        key = process.stdout.readline().strip().removeprefix("export WANDB_API_KEY=")
        assert key == KEY
        request = urllib.request.Request(
            f"{url}/graphql",
            data=b'{"query": "query Viewer { viewer { entity } nothing }"}',
            headers={"Authorization": "Basic " + _basic(key)},
        )
        with urllib.request.urlopen(request, timeout=GUARD_SECONDS) as answer:
            assert json.load(answer)["data"] == {"viewer": {"entity": "tester"}, "nothing": None}
        process.send_signal(signal.SIGINT)
        assert process.wait(GUARD_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == "not answered: Viewer: Query.nothing\n"

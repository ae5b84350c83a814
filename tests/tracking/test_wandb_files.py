"""What is asked of W&B and how files come from it: names, bodies, time limits, the key, and the SDK's answers."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.errors import (
    AuthenticationError,
    CorruptArtifactError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.tracking.artifacts.versions import check_file_names
from goemo_cli.tracking.wandb.client import RunReference
from goemo_cli.tracking.wandb.http import Fetcher, Limits, RemoteFile, StoppedError
from tests.forks import forked_python
from tests.waiting import GUARD_SECONDS
from tests.wandb_server import WandbServer

CONTENT = bytes(range(256)) * 4000
QUICK = Limits(
    attempts=3,
    connect_seconds=GUARD_SECONDS,
    silence_seconds=GUARD_SECONDS,
    first_wait=0.01,
    longest_wait=0.05,
)
"""Short pauses between tries; no answer comes too late."""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a71b9ddo", ("me", "mine", "a71b9ddo")),
        ("goemo/a71b9ddo", ("me", "goemo", "a71b9ddo")),
        (" team/goemo/a71b9ddo ", ("team", "goemo", "a71b9ddo")),
        ("https://wandb.ai/team/goemo/runs/a71b9ddo", ("team", "goemo", "a71b9ddo")),
        ("https://wandb.ai/team/go%20emo/runs/a71b9ddo/overview?nw=x#y", None),
        ("https://wandb.ai/team/goemo/runs/a71b9ddo/files?nw=x#y", ("team", "goemo", "a71b9ddo")),
        ("a/b/c/d", None),
        ("../../x", None),
        ("a\nb", None),
        ("x" * 129, None),
    ],
)
def test_references_to_runs(text: str, found: tuple[str, str, str] | None):
    if found is None:
        with pytest.raises(SettingError):
            RunReference.parse(text, entity="me", project="mine")
    else:
        reference = RunReference.parse(text, entity="me", project="mine")
        assert (reference.entity, reference.project, reference.run_id) == found


@pytest.mark.parametrize(
    "names",
    [
        ["/a"], ["../a"], ["a/../b"], ["a/./b"], ["a//b"], ["a/"], [""], ["a\\b"], ["C:a"], ["a\0b"], ["a\x1bb"],
        ["x" * 300], ["/".join(["ab"] * 400)], ["a", "A"], ["a/b", "A/c", "a/B"], ["a", "a/b"],
        ["caf\u00e9", "cafe\u0301"], ["a/.goemo-partial-x"],
    ],
)  # fmt: skip
def test_hostile_file_names(names: list[str]):
    with pytest.raises(CorruptArtifactError, match="refused"):
        check_file_names(names, Path("team/goemo/a71b9ddo"))
    with pytest.raises(SettingError):
        check_file_names(names)


def test_good_file_names_pass():
    check_file_names(["a", "b/a", "b/c/..d", "émoticône 🙂.csv", "x:y/z".replace(":", "-")], Path("here"))


@pytest.fixture(scope="module")
def server() -> Iterator[WandbServer]:
    with WandbServer() as server:
        server.add_run("tester/goemo/abc", files={"stats/a.bin": CONTENT, "empty": b""})
        yield server


@pytest.fixture
def file(server: WandbServer) -> Iterator[RemoteFile]:
    server.faults.clear()
    server.requests.clear()
    url = f"{server.url}/files/tester/goemo/abc/stats/a.bin"
    yield RemoteFile("stats/a.bin", len(CONTENT), md5(CONTENT), url)
    server.faults.clear()


@pytest.fixture
def fetcher(server: WandbServer) -> Fetcher:
    return Fetcher(server.url, server.key, limits=QUICK)


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def test_a_file_arrives_whole_and_is_told_of(
    fetcher: Fetcher, file: RemoteFile, tmp_path: Path, server: WandbServer
):
    told: list[int] = []
    fetcher.fetch(file, tmp_path / "a", arrived=told.append)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    nothing = RemoteFile("empty", 0, md5(b""), f"{server.url}/files/tester/goemo/abc/empty")
    fetcher.fetch(nothing, tmp_path / "b")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b""


PASSING = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 429, "retry_after": 1}, id="429"),
    pytest.param({"drop": True}, id="dropped"),
    pytest.param({"silence": True}, id="silent"),
    pytest.param({"truncate": 0.4}, id="cut"),
    pytest.param({"change": True}, id="other bytes, once"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for(
    file: RemoteFile, tmp_path: Path, server: WandbServer, fault: dict[str, Any]
):
    limits = replace(QUICK, attempts=50, silence_seconds=0.3) if "silence" in fault else QUICK
    fetcher = Fetcher(server.url, server.key, limits=limits)
    times = 1 if "change" in fault else 2
    added = server.faults.add(method="GET", times=times, **fault)
    told: list[int] = []
    fetcher.fetch(file, tmp_path / "a", arrived=told.append)
    assert added.hits == times
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)


LASTING = [
    pytest.param({"status": 503}, RemoteError, "HTTP 503; tried 3 times", id="503"),
    pytest.param({"silence": True}, RemoteError, "no answer in time; tried 3 times", id="silent"),
    pytest.param({"drop": True}, RemoteError, "the connection failed; tried 3 times", id="dropped"),
    pytest.param({"status": 418}, RemoteError, "HTTP 418", id="418"),
    pytest.param({"status": 401}, AuthenticationError, "refuses the API key", id="401"),
    pytest.param({"status": 403}, AuthenticationError, "refuses the API key", id="403"),
    pytest.param({"status": 404}, NotFoundError, "not there", id="404"),
    pytest.param({"change": True}, CorruptArtifactError, "declared MD5", id="other bytes"),
    pytest.param({"short": 0.5}, CorruptArtifactError, "512,000 bytes", id="short"),
    pytest.param({"longer": 1}, CorruptArtifactError, "1,024,001 bytes", id="long"),
    pytest.param({"html": True}, CorruptArtifactError, "text/html", id="page"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), LASTING)
def test_what_lasts_is_an_error_of_its_kind(
    fetcher: Fetcher,
    file: RemoteFile,
    tmp_path: Path,
    server: WandbServer,
    fault: dict[str, Any],
    kind: type,
    words: str,
):
    server.faults.add(method="GET", **fault)
    limits = replace(QUICK, silence_seconds=0.3) if "silence" in fault else QUICK
    with pytest.raises(kind, match=words):
        Fetcher(server.url, server.key, limits=limits).fetch(file, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    server.faults.clear()
    fetcher.fetch(file, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_stop_is_heard(server: WandbServer, file: RemoteFile, tmp_path: Path):
    fetcher = Fetcher(server.url, server.key)
    fetcher.stop.set()
    with pytest.raises(StoppedError):
        fetcher.fetch(file, tmp_path / "a")
    assert server.requests == []


def test_an_expired_address_is_renewed_once(
    fetcher: Fetcher, file: RemoteFile, tmp_path: Path, server: WandbServer
):
    other = server.url.replace("127.0.0.1", "localhost")  # another host: a signed address, without a key
    expired = replace(file, url=f"{other}/storage/runs/tester/goemo/abc/stats/a.bin?signature=old")
    fetcher.fetch(expired, tmp_path / "a", renew=lambda old: replace(old, url=file.url))
    assert (tmp_path / "a").read_bytes() == CONTENT
    with pytest.raises(RemoteError, match="HTTP 403"):
        fetcher.fetch(expired, tmp_path / "b", renew=lambda old: old)
    with pytest.raises(RemoteError, match="HTTP 403"):
        fetcher.fetch(expired, tmp_path / "b")


class _Odd(BaseHTTPRequestHandler):
    """A server that does what the W&B server of the tests does not: redirects, ranges, drips, no length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen = self.server.seen  # type: ignore[attr-defined]
        seen.append((self.path, self.headers.get("Authorization"), self.headers.get("Range")))
        if self.path.startswith("/to/"):
            self._answer(302, b"", Location=self.path.removeprefix("/to/"))
        elif self.path == "/ranges":
            begin = int((self.headers.get("Range") or "bytes=0-").partition("=")[2].rstrip("-"))
            body = CONTENT[begin:]
            cut = body[: 300_000 if begin == 0 else len(body)]
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(cut)
            self.close_connection = True
        elif self.path == "/endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            while self._sent(b"x" * 100_000):
                pass
        elif self.path == "/hangs":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self._sent(CONTENT[:1000])
            self.server.over.wait()  # type: ignore[attr-defined]
            self.close_connection = True
        elif self.path == "/drips":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.close_connection = True
            while self._sent(b"x") and not self.server.over.wait(0.02):  # type: ignore[attr-defined]
                pass
        else:
            self._answer(200, CONTENT)

    def _sent(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
        except OSError:
            return False
        return True

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


@contextmanager
def odd_server() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    server.seen, server.over = [], threading.Event()  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


def test_the_key_goes_to_its_own_host_only(tmp_path: Path):
    with odd_server() as ours, odd_server() as theirs:
        fetcher = Fetcher(ours.url, "secret" * 7, limits=QUICK)
        file = RemoteFile("a", len(CONTENT), md5(CONTENT), f"{ours.url}/to/{theirs.url}/a")
        fetcher.fetch(file, tmp_path / "a")
        assert [key is not None for _, key, _ in ours.seen] == [True]
        assert [key for _, key, _ in theirs.seen] == [None]
        back = replace(file, url=f"{theirs.url}/to/{ours.url}/a")
        fetcher.fetch(back, tmp_path / "b")
        assert [key is not None for _, key, _ in ours.seen] == [True, True]
        for address in ("file:///etc/passwd", f"{ours.url}/to/ftp://x/y"):
            with pytest.raises(RemoteError, match="not safe to follow"):
                fetcher.fetch(replace(file, url=address), tmp_path / "c")
        with pytest.raises(RemoteError, match="redirects without end"):
            fetcher.fetch(replace(file, url=f"{ours.url}/to/" * 7), tmp_path / "c")
        safe = Fetcher("https://api.wandb.ai", "secret" * 7, limits=QUICK)
        with pytest.raises(RemoteError, match="not safe"):
            safe.fetch(file, tmp_path / "c")


def test_a_cut_file_is_gone_on_with(tmp_path: Path):
    with odd_server() as server:
        fetcher = Fetcher(server.url, None, limits=QUICK)
        file = RemoteFile("a", len(CONTENT), md5(CONTENT), f"{server.url}/ranges")
        fetcher.fetch(file, tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert [asked for *_, asked in server.seen] == [None, "bytes=300000-"]
        # what lies there of another version is noticed, and begun anew
        (tmp_path / "b.part").write_bytes(b"y" * 500_000)
        fetcher.fetch(file, tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["silent at once", "silent in the middle", "a byte now and then"])
def test_a_file_that_hangs_is_given_up_within_the_patience(
    server: WandbServer, file: RemoteFile, tmp_path: Path, kind: str
):
    limits = replace(QUICK, attempts=1_000, silence_seconds=0.2, patience_seconds=0.5, slowest=100_000.0)
    with odd_server() as odd:
        if kind == "silent at once":
            server.faults.add(method="GET", silence=True)
        else:
            path = "/hangs" if kind == "silent in the middle" else "/drips"
            file = replace(file, url=f"{odd.url}{path}")
        with pytest.raises(RemoteError, match=r"no answer in time|too slow"):
            Fetcher(server.url, server.key, limits=limits).fetch(file, tmp_path / "a")
        asked = server.requests if kind == "silent at once" else odd.seen
    assert 1 <= len(asked) <= 4  # tries of 0.2 s, the last one cut to what is left of 0.5 s
    usual = Limits()
    assert (
        usual.silence_seconds + usual.patience_seconds < 60
    )  # what came before the silence is no part of it


def test_more_than_declared_and_too_slow_are_ended(tmp_path: Path):
    with odd_server() as server:
        fetcher = Fetcher(server.url, None, limits=QUICK)
        endless = RemoteFile("a", len(CONTENT), md5(CONTENT), f"{server.url}/endless")
        with pytest.raises(CorruptArtifactError, match="more than the declared 1,024,000 bytes"):
            fetcher.fetch(endless, tmp_path / "a")
        slow = Fetcher(
            server.url,
            None,
            limits=replace(QUICK, attempts=1, connect_seconds=0.1, slowest=1e9, silence_seconds=0.2),
        )
        with pytest.raises(RemoteError, match=r"too slow|no answer in time"):
            slow.fetch(replace(endless, url=f"{server.url}/drips"), tmp_path / "a")


SOURCE = """
import json, os, tempfile
from pathlib import Path
from goemo_cli.tracking.wandb.client import WandbClient
from goemo_cli.tracking.wandb.client import RunReference
source = WandbClient()
me = source.complete(RunReference("abc"))
run = source.run(me)
def said(question):
    try:
        return repr(question())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
print(json.dumps({
    "me": str(me),
    "run": [run.name, run.state, sorted((one.name, one.size, one.digest) for one in run.files)],
    "artifacts": [[str(one), sorted(file.name for file in one.files)] for one in source.artifacts_of(me)],
    "unknown": said(lambda: source.run(RunReference("nope", "goemo", "tester"))),
    "no project": said(lambda: source.best("tester", "nope", "val/auc")),
    "left": [path.name for path in Path(tempfile.gettempdir()).iterdir()],
}))
"""


def test_the_sdk_is_asked(server: WandbServer, file: RemoteFile, tmp_path: Path):
    run = server.runs["tester/goemo/abc"]
    for content in (b"old", b"new"):
        server.add_artifact(
            "tester/goemo/m-checkpoint-abc", {"config.json": content, "a/b": b"b"}, logged_by=run
        )
    (tmp_path / "tmp").mkdir()
    variables = server.environment(tmp_path) | {"TMPDIR": str(tmp_path / "tmp"), "GOEMO_OFFLINE": "0"}
    done = forked_python(SOURCE, env=variables)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["me"] == "tester/goemo/abc"
    assert found["run"] == [
        "abc", "finished", [["empty", 0, md5(b"")], ["stats/a.bin", len(CONTENT), md5(CONTENT)]]
    ]  # fmt: skip
    assert found["artifacts"] == [["tester/goemo/m-checkpoint-abc:v1", ["a/b", "config.json"]]]
    assert found["unknown"] == "NotFoundError: W&B has no run tester/goemo/nope, or not for this key"
    assert found["no project"].startswith("NotFoundError")
    assert "tester" not in found["left"]
    assert server.key not in done.stdout + done.stderr

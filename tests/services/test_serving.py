"""`goemo serve`: the numbers of `goemo predict`, limits, the token, and an orderly end."""

import asyncio
import json
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import BusyError, SettingError
from goemo_cli.core.events import Event, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.layout import Layout
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.serving.application import create_application
from goemo_cli.services.serving.batches import BatchQueue, QueueFullError
from goemo_cli.services.serving.limits import Limits
from goemo_cli.services.serving.server import bind
from tests.prediction_checkpoints import TEXTS, add_calibrator, write_tfidf, write_tiny
from tests.serving import Client, served
from tests.torture.commands import Command
from tests.waiting import GUARD_SECONDS, wait_for

FUZZ_EXAMPLES = int(os.environ.get("GOEMO_FUZZ_EXAMPLES", "15"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    made = write_tiny(Layout(tmp_path_factory.mktemp("serving")))
    add_calibrator(made)
    return Checkpoint.open(made.path)


@pytest.fixture(scope="module")
def root(checkpoint: Checkpoint) -> Path:
    return checkpoint.path.parents[3]


@pytest.fixture(scope="module")
def predictor(checkpoint: Checkpoint) -> Predictor:
    return Predictor.load(checkpoint)


@pytest.fixture(scope="module")
def server(predictor: Predictor) -> Iterator[Client]:
    with served(predictor, Limits(max_texts=80, max_chars=1000, max_body=20_000)) as client:
        yield client


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"top_k": 2},
        {"threshold": 0.4},
        {"threshold_rule": "global"},
        {"calibrated": True},
        {"calibrated": True, "threshold": 0.5, "top_k": 1},
        {"taxonomy": "ekman"},
        {"taxonomy": "grouped", "top_k": 1},
    ],
)
def test_answers_are_those_of_predict(server: Client, root: Path, choices: dict[str, Any]):
    """To the last digit, if the texts are computed together in both."""
    options = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in choices.items()
    ]
    for texts in (TEXTS, TEXTS[:1]):
        done = CliRunner().invoke(
            app, ["predict", "-c", "@latest", "--root", str(root), "--json", *options, *texts]
        )
        assert done.exit_code == 0, done.output
        expected = json.loads(done.stdout)
        status, answer = server.ask(
            "POST", "/predict", {"text": texts if len(texts) > 1 else texts[0], **choices}
        )
        assert status == 200, answer
        for prediction in expected["predictions"]:
            del prediction["text"]
        del expected["statistics"]
        assert answer == expected


def test_what_the_server_says_of_its_model(server: Client, checkpoint: Checkpoint):
    assert server.ask("GET", "/health") == (200, {"status": "ok"})
    status, model = server.ask("GET", "/model")
    assert status == 200
    assert (model["run"], model["engine"]) == (str(checkpoint.run), "torch")
    assert model["labels"] == list(EMOTIONS)
    assert model["thresholds"] == checkpoint.thresholds.decision().by_label(EMOTIONS)
    assert set(model["taxonomies"]) == {"ekman", "grouped"}
    assert model["has_calibrator"]
    assert model["manifest_sha256"] == sha256_file(checkpoint.path / MANIFEST)


SECRET = "a secret that stays"


@pytest.mark.parametrize(
    ("body", "headers", "status", "detail"),
    [
        (b'{"text": ', {}, 400, "body: not JSON: Expecting value at character 10"),
        (b"", {}, 422, "body: it is empty"),
        ([SECRET], {}, 422, "body: it is not a JSON object"),
        (
            {"text": SECRET},
            {"Content-Type": "text/plain"},
            422,
            "needs the header Content-Type: application/json",
        ),
        ({"text": SECRET}, {"Content-Type": "application/x-www-form-urlencoded"}, 422, "needs the header"),
        (b"[" * 10_000, {}, 400, ""),
        ({"text": [SECRET, 3]}, {}, 422, "valid string"),
        (b'{"text": ["\\ud800"], "\\ud800": 1}', {}, 422, "unicode"),
        ({"text": SECRET, "topk": 1}, {}, 422, "topk: Extra inputs are not permitted"),
        ({"text": SECRET, "top_k": 0}, {}, 422, "top_k: Input should be greater"),
        (b'{"text": "ok", "threshold": NaN}', {}, 422, "threshold"),
        (
            {"text": SECRET, "threshold": 0.5, "threshold_rule": "global"},
            {},
            422,
            "a threshold and a threshold rule: give one",
        ),
        ({"text": SECRET, "calibrated": True, "taxonomy": "ekman"}, {}, 422, "nothing was fitted"),
        ({"text": [SECRET] * 81}, {}, 413, "81 texts; at most 80"),
        ({"text": "x" * 1001}, {}, 413, "1,001 characters; at most 1,000"),
        (b" " * 20_001, {}, 413, "20,000 bytes"),
        ({"text": SECRET}, {"Host": "rebound.example:80"}, 421, "localhost"),
    ],
)
def test_refused_requests_get_a_reason_that_repeats_no_text(
    server: Client, body: Any, headers: dict[str, str], status: int, detail: str
):
    found, answer = server.ask("POST", "/predict", body, headers)
    assert found == status, answer
    assert detail in answer["detail"]
    assert SECRET not in answer["detail"]
    assert "command line" not in answer["detail"]
    assert len(answer["detail"]) < 500


def test_a_body_without_a_length_is_counted(server: Client):
    def parts() -> Iterator[bytes]:
        for _ in range(21):
            yield b" " * 1000

    connection = server.connect()
    connection.request("POST", "/predict", parts(), {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_no_texts_and_empty_texts(server: Client):
    assert server.ask("POST", "/predict", {"text": []})[1]["predictions"] == []
    assert len(server.ask("POST", "/predict", {"text": ["", "\0"]})[1]["predictions"]) == 2


def test_many_clients_get_the_answers_to_their_own_texts(server: Client, predictor: Predictor):
    expected = predictor.predict(TEXTS).y_prob
    assert len(np.unique(expected[:, 0])) > len(TEXTS) / 2

    def ask(row: int) -> list[float]:
        answer = server.ask("POST", "/predict", {"text": TEXTS[row]})[1]
        return list(answer["predictions"][0]["pred_prob"].values())

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(len(TEXTS))))
    assert np.asarray(found) == pytest.approx(expected, abs=1e-5)


def test_metrics_are_those_of_prometheus(server: Client):
    def values() -> dict[tuple[str, str], float]:
        status, text = server.ask("GET", "/metrics")
        assert status == 200
        return {
            (sample.name, sample.labels.get("status", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("path", "/predict") == "/predict"
        }

    before = values()
    server.ask("POST", "/predict", {"text": ["ok", "word " * 150]})
    server.ask("POST", "/predict", {"text": 3})
    server.ask("GET", "/one/of/many/paths")
    after = values()

    def added(name: str, status: str = "") -> float:
        return after[name, status] - before.get((name, status), 0)

    assert added("goemo_requests_total", "200") == added("goemo_requests_total", "422") == 1
    assert added("goemo_texts_total") == 2
    assert added("goemo_texts_cut_total") == 1
    assert added("goemo_request_seconds_count") == 2
    assert after["goemo_waiting_texts", ""] == 0
    assert "many" not in server.ask("GET", "/metrics")[1]


@pytest.mark.parametrize("data", ["positive", "negative"])
def test_no_request_makes_the_server_fail(server: Client, data: str):
    """Fuzzed through its OpenAPI document; answers are as that says, and never 500."""
    import schemathesis  # takes a second, so not in every process of the tests
    from schemathesis import GenerationMode
    from schemathesis.config import SchemathesisConfig

    mode = GenerationMode(data)
    config = SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": [400, 413, 422]}}}
    )
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json", config=config)
    found: Any = schema.get_all_operations()
    operations = [one.ok() for one in found]
    assert {operation.path for operation in operations} == {
        "/predict", "/health", "/model", "/metrics", "/", "/docs",
    }  # fmt: skip
    # A threshold next to a threshold rule fits the schema, and is refused.
    excluded = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
    for operation in operations:
        if mode == GenerationMode.NEGATIVE and operation.path != "/predict":
            continue  # nothing can be wrong

        @hypothesis.settings(max_examples=FUZZ_EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(excluded_checks=excluded)

        check()


class Held:
    """A classifier that waits until it may go on."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.may_go_on, self.begun = threading.Event(), threading.Event()
        self.labels = predictor.labels

    def predict_proba(self, texts: Sequence[str], *_: Any) -> FloatArray:
        self.begun.set()
        assert self.may_go_on.wait(GUARD_SECONDS)
        return self._predictor.predict(texts).y_prob


def held_client(predictor: Predictor, limits: Limits) -> tuple[Held, TestClient]:
    held = Held(predictor)
    waiting = Predictor(held, predictor.rule, checkpoint=predictor.checkpoint)
    application = create_application(waiting, limits=limits, token=None, on_event=ignore)
    return held, TestClient(application, base_url="http://localhost")


def test_a_full_queue_refuses_and_waiting_requests_share_a_batch(predictor: Predictor):
    held, client = held_client(predictor, Limits(queue=2, max_texts=2))
    with client, ThreadPoolExecutor(3) as pool:

        def ask(text: str) -> Any:
            return client.post("/predict", json={"text": text})

        first = pool.submit(ask, "one")
        held.begun.wait(GUARD_SECONDS)
        others = [pool.submit(ask, text) for text in ("two", "three")]
        wait_for(lambda: "goemo_waiting_texts 2.0" in client.get("/metrics").text)
        refused = client.post("/predict", json={"text": "four"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        held.may_go_on.set()
        assert [future.result().status_code for future in (first, *others)] == [200] * 3
        assert "goemo_batch_texts_count 2.0" in client.get("/metrics").text, "two and three share a batch"


def test_a_request_that_takes_too_long_is_given_up(predictor: Predictor):
    held, client = held_client(predictor, Limits(timeout=0.05))
    with client:
        late = client.post("/predict", json={"text": "late"})
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        held.may_go_on.set()


def test_requests_of_a_batch_do_not_share_their_faults():
    computed: list[list[str]] = []
    may_go_on, begun = threading.Event(), threading.Event()

    def compute(texts: Sequence[str]) -> FloatArray:
        begun.set()
        assert may_go_on.wait(GUARD_SECONDS)
        computed.append(list(texts))
        if "bad" in texts:
            raise ValueError("bad")
        return np.asarray([[len(text)] for text in texts], dtype=np.float32)

    async def requests() -> list[Any]:
        with BatchQueue(compute, capacity=5, batch=64) as queue:
            first = asyncio.create_task(queue.probabilities(["a"]))
            await asyncio.to_thread(begun.wait, GUARD_SECONDS)
            rest = [asyncio.create_task(queue.probabilities(texts)) for texts in (["bb"], ["bad"], ["x"], [])]
            await asyncio.sleep(0)
            with pytest.raises(QueueFullError):
                await queue.probabilities(["too", "many", "texts"])
            rest[2].cancel()
            await asyncio.sleep(0)  # the queue learns it in the next step of the loop
            await asyncio.sleep(0)
            may_go_on.set()
            return await asyncio.gather(first, *rest, return_exceptions=True)

    first, two, bad, cancelled, none = asyncio.run(requests())
    assert first == [[1]]
    assert two == [[2]]
    assert isinstance(bad, ValueError)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert len(none) == 0
    assert computed[0] == ["a"]
    assert not any("x" in texts for texts in computed)


def test_an_unexpected_failure_is_reported_without_the_text(predictor: Predictor):
    class Broken:
        labels = predictor.labels

        def predict_proba(self, texts: Sequence[str], *_: Any) -> FloatArray:
            raise RuntimeError(f"cannot compute {texts}")

    events: list[Event] = []
    broken = Predictor(Broken(), predictor.rule, checkpoint=predictor.checkpoint)
    application = create_application(broken, limits=Limits(), token=None, on_event=events.append)
    with TestClient(application, base_url="http://localhost") as client:
        answer = client.post("/predict", json={"text": SECRET})
        assert (answer.status_code, answer.json()) == (500, {"detail": "unexpected failure of the server"})
        assert 'status="500"} 1.0' in client.get("/metrics").text
    assert len(events) == 1
    assert "RuntimeError" in str(events[0])
    assert SECRET not in str(events[0])


@pytest.mark.parametrize("path", ["/predict", "/model", "/metrics", "/docs", "/openapi.json", "/other"])
def test_a_token_opens_all_but_the_page_and_the_health(predictor: Predictor, path: str):
    application = create_application(predictor, limits=Limits(), token="right", on_event=ignore)
    with TestClient(application, base_url="http://example.org") as client:
        method = client.post if path == "/predict" else client.get
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}):
            refused = method(path, headers=wrong)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        right = {"Authorization": "Bearer right"}
        if path == "/predict":
            assert client.post(path, json={"text": "ok"}, headers=right).status_code == 200
        else:
            assert client.get(path, headers=right).status_code == (404 if path == "/other" else 200)
        assert client.get("/").status_code == client.get("/health").status_code == 200


def test_other_machines_reach_it_only_with_a_token():
    for host in ("0.0.0.0", "::"):
        with pytest.raises(SettingError, match="GOEMO_TOKEN"):
            bind(host, 0, token=None)
    bind("0.0.0.0", 0, token="token").close()
    with pytest.raises(SettingError, match=r"--host no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 0, token="token")
    with bind("localhost", 0, token=None) as taken:
        taken.listen()
        with pytest.raises(BusyError, match="another process"):
            bind("localhost", taken.getsockname()[1], token=None)


@pytest.mark.parametrize(
    ("arguments", "env", "code", "message"),
    [
        (["@latest", "--host", "0.0.0.0"], {}, 2, "set GOEMO_TOKEN"),
        (["@latest"], {"GOEMO_TOKEN": "two words"}, 2, "visible ASCII"),
        (["@latest", "--queue", "8", "--max-texts", "9"], {}, 2, "the queue has room for 8"),
        (["@nothing"], {}, 4, "no run '@nothing'"),
        (["@latest", "--engine", "onnx"], {}, 4, "goemo export-model"),
    ],
)
def test_mistakes_end_before_the_model_is_loaded(
    root: Path,
    arguments: list[str],
    env: dict[str, str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["serve", *arguments, "--root", str(root), "--port", "0"])
    assert done.exit_code == code, done.output
    assert message in done.output.replace("\n", " ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_open_requests_are_answered(tmp_path: Path, number: signal.Signals):
    write_tfidf(Layout(tmp_path))
    (tmp_path / "stderr").touch()
    process = Command("serve", "@latest", "--port", "0", "--root", tmp_path, folder=tmp_path)
    try:
        wait_for(lambda: "Ctrl-C ends" in process.said or not process.runs())
        (address,) = re.findall(r"Answering at (\S+);", process.said)
        server = Client(address)
        body = json.dumps({"text": SECRET}).encode()
        connection = server.connect()
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        # The next connection is answered after the first was accepted.
        assert server.ask("GET", "/health")[0] == 200
        os.kill(process.pid, number)
        wait_for(lambda: not accepts(server))
        connection.send(body[5:])
        answer = connection.getresponse()
        assert answer.status == 200
        assert len(json.loads(answer.read())["predictions"]) == 1
        connection.close()
        assert process.code == 128 + number
    finally:
        if process.runs():
            os.kill(process.pid, signal.SIGKILL)
    assert SECRET not in process.said
    assert re.fullmatch(r"Serving \S+ \(scikit-learn, fp32\)\nAnswering at \S+; Ctrl-C ends\n", process.said)
    assert (tmp_path / "stdout").read_bytes() == b""


def accepts(server: Client) -> bool:
    try:
        server.ask("GET", "/health")
    except OSError:
        return False
    return True

"""What every test shares: no network, no caches of the user's, one thread, a layout in a temporary folder."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.checkpoint import CARD, CONFIG, METRICS, Checkpoint, claim_checkpoint, write_manifest
from goemo_cli.core.files import write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.settings import ThresholdSettings, TrainConfig
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics import intervals as bootstrap

if TYPE_CHECKING:
    from goemo_cli.ml.models.transformer import TransformerClassifier
    from tests.wandb_server import WandbServer

from tests.metrics_documents import EMPTY_METRICS
from tests.small_data import write_small_data
from tests.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[1]

# A shell that starts pytest with & has SIGINT ignored, nohup has SIGHUP ignored, also in the processes that tests send
# them to.
with suppress(ValueError):  # not the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

_CACHE = tempfile.mkdtemp(prefix="goemo-tests-")
# At import, since libraries read these when they are first imported, which is after this file.
os.environ.update(
    GOEMO_OFFLINE="1",
    HF_HUB_OFFLINE="1",
    WANDB_MODE="offline",
    XDG_CACHE_HOME=_CACHE,
    MPLBACKEND="Agg",
    OMP_NUM_THREADS="1",  # torch's threads too, without importing it here
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
)
for _name in ("GOEMO_DATA_DIR", "GOEMO_DATA_URL", "GOEMO_DEBUG", "HF_HOME", "HF_HUB_CACHE", "WANDB_API_KEY"):
    os.environ.pop(_name, None)

hypothesis.settings.register_profile(
    "goemo", deadline=None, database=None, derandomize=True, max_examples=100
)
hypothesis.settings.load_profile("goemo")


def pytest_unconfigure() -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)


# Visiting the objects of torch, transformers and pandas over and over took 10 % of the time of the tests.
gc.disable()
_MANY_MODULES = 300


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def n_modules() -> list[int]:
    """The number of modules whose objects Python's collector no longer visits, as the only item."""
    return [len(sys.modules)]


@pytest.fixture(autouse=True, scope="module")
def packages_are_not_garbage(n_modules: list[int]) -> Iterator[None]:
    """Packages that a test imported are not visited either."""
    yield
    if len(sys.modules) > n_modules[0] + _MANY_MODULES:
        gc.collect()
        gc.freeze()
        n_modules[0] = len(sys.modules)


@pytest.fixture(autouse=True, scope="session")
def few_draws() -> Iterator[dict[str, int]]:
    """Intervals from fewer draws than users get: 200 draws took about 40 % of a small training. Gives the usual numbers."""
    usual = {name: getattr(bootstrap, name) for name in ("MAX_DRAWS", "FEWEST_DRAWS")}
    bootstrap.MAX_DRAWS, bootstrap.FEWEST_DRAWS = 1, 20
    yield usual
    for name, number in usual.items():
        setattr(bootstrap, name, number)


@pytest.fixture
def all_draws(few_draws: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many draws as users get, for tests of the intervals themselves."""
    for name, number in few_draws.items():
        monkeypatch.setattr(bootstrap, name, number)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A project root of the test's own."""
    return Layout(tmp_path)


@pytest.fixture(scope="session")
def goemotions_folder() -> Path:
    """The published GoEmotions files, where the developers keep them: beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data" / "goemotions"
    if not (folder / "train.tsv").is_file():
        pytest.skip(f"needs the GoEmotions files in {folder}")
    return folder


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    """Random predictions: `make_predictions(rows, labels=..., seed=...)`; every text is another."""

    def make(
        rows: int, *, labels: tuple[str, ...] = ("anger", "joy", "neutral"), seed: int = 0
    ) -> Predictions:
        rng = np.random.default_rng(seed)
        y_prob = rng.random((rows, len(labels)), dtype=np.float32)
        return Predictions(
            labels=labels,
            texts=[f"comment {row}" for row in range(rows)],
            y_true=rng.random((rows, len(labels))) < 0.3,
            y_pred=y_prob >= 0.5,
            y_prob=y_prob,
        )

    return make


@pytest.fixture
def make_checkpoint(layout: Layout) -> Callable[..., Checkpoint]:
    """A complete checkpoint without a model: every file is there, `weights.bin` stands for the weights."""

    def make(model: str = "tiny", labels: tuple[str, ...] = ("anger", "joy")) -> Checkpoint:
        run, folder = claim_checkpoint(layout, model, model)
        (folder / "weights.bin").write_bytes(b"weights")
        write_json(folder / METRICS, {**EMPTY_METRICS, "run": str(run), "model": model})
        write_text(folder / CONFIG, TrainConfig.from_layers(("test", {"model": {"name": model}})).to_yaml())
        write_text(folder / CARD, "# A model\n")
        thresholds = Thresholds(
            labels, 0.3, np.full(len(labels), 0.25), (4,) * len(labels), ThresholdSettings(rule="per_label")
        )
        thresholds.write(folder / "thresholds.json", run=str(run))
        return write_manifest(folder, run=run, kind="tiny", labels=labels, parents={"data": "0" * 64})

    return make


@pytest.fixture(scope="session")
def comments() -> tuple[list[str], BoolArray]:
    """32 comments with labels that their words give away: texts and (32, 3) gold labels."""
    words = ["happy", "angry", "sad", "table"]
    fillers = [
        "the",
        "a day",
        "so very",
        "!",
        "it was what it was and then some more",
        "",
        "ok",
        "no one knows",
    ]
    texts = [f"{filler} {word} {filler}".strip() for filler in fillers for word in words]
    return texts, np.array([[word in text for word in words[:3]] for text in texts])


@pytest.fixture
def make_tiny(comments: tuple[list[str], BoolArray]) -> "Callable[..., TransformerClassifier]":
    """The tiny model over the words of `comments`: `make_tiny(seed=0, dropout=0.0)`."""

    def make(*, seed: int = 0, dropout: float = 0.0) -> "TransformerClassifier":
        from goemo_cli.core.settings import ModelSettings
        from goemo_cli.ml.models.tiny import build_tiny
        from goemo_cli.ml.training.loop import seed_everything

        seed_everything(seed)
        settings = ModelSettings(name="tiny", max_length=32, dropout=dropout)
        return build_tiny(comments[0], ("joy", "anger", "sadness"), settings)

    return make


def trained_root(root: Path, model: str, n_comments: int | None, data: Path | str = "sample") -> Path:
    """The root, with one more run: of one epoch, on that number of comments."""
    from goemo_cli.services.training.settings import resolve_settings
    from goemo_cli.services.training.train import train

    flags = {"model.name": model, "data.name": str(data), "data.max_train_samples": n_comments}
    train(resolve_settings(None, flags, ["training.epochs=1"]), layout=Layout(root))
    return root


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 160 comments of three labels. To be read, not changed."""
    return write_small_data(tmp_path_factory.mktemp("small") / "data", train=100)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of the tiny model on 64 comments. To be copied, not changed."""
    return trained_root(tmp_path_factory.mktemp("tiny"), "tiny", 64)


@pytest.fixture(scope="session")
def tfidf_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of tfidf on the whole sample. To be copied, not changed."""
    return trained_root(tmp_path_factory.mktemp("tfidf"), "tfidf", None)


@pytest.fixture(scope="session")
def small_root(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of tfidf on `small_data`. To be copied, not changed."""
    return trained_root(tmp_path_factory.mktemp("small_root"), "tfidf", None, small_data)


@pytest.fixture(scope="session")
def two_runs(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of tiny and a newer one of tfidf, on `small_data`. To be copied, not changed."""
    root = trained_root(tmp_path_factory.mktemp("two_runs"), "tiny", None, small_data)
    older = next(Layout(root).models.glob("tiny/*")).name
    # Names have whole seconds.
    wait_for(lambda: RunName.mint("tiny") != RunName.parse(older))
    return trained_root(root, "tfidf", None, small_data)


@pytest.fixture
def wandb_server() -> "Iterator[WandbServer]":
    """A fresh W&B server on the loopback; `server.environment(tmp_path)` points an SDK at it."""
    from tests.wandb_server import WandbServer

    with WandbServer() as server:
        yield server
        assert server.bugs == []


@pytest.fixture
def server(wandb_server: "WandbServer", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "WandbServer":
    """A server that the environment points at."""
    for name, value in wandb_server.environment(tmp_path / "sdk").items():
        monkeypatch.setenv(name, value)
    return wandb_server

"""Finding data: the order of places, the rule of the fallback, own files, downloads from a loopback server."""

import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.errors import (
    CorruptArtifactError,
    DataError,
    DataFileError,
    DataNotFoundError,
    NotFoundError,
    OfflineError,
    RemoteError,
)
from goemo_cli.core.events import Advanced, Event, PhaseStarted, Warning
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data import goemotions
from goemo_cli.services.data import download as fetching
from goemo_cli.services.data.find import first_of_shuffle, load_data, load_sample
from goemo_cli.services.data.own_data import from_hub_splits

QUOTED = '"joy,fear"'
ROWS = "text,labels\n" + "".join(f"comment number {at},{'joy' if at % 3 else QUOTED}\n" for at in range(60))


def test_the_sample_is_as_rich_as_promised() -> None:
    sample = load_sample()
    rows = [sample.splits[split] for split in ("train", "val", "test")]
    assert sum(map(len, rows)) >= 1500
    counts = sum(split.y_true.sum(axis=0) for split in rows)
    assert min(counts) >= 40
    assert sum((split.y_true.sum(axis=1) > 1).sum() for split in rows) >= 0.15 * sum(map(len, rows))
    texts = [text for split in rows for text in split.texts]
    assert len(set(texts)) == len(texts)
    assert all(split.y_true.any(axis=0).all() for split in rows)
    assert sample.labels == EMOTIONS


def test_no_sentence_of_the_sample_is_from_goemotions(goemotions_folder: Path) -> None:
    real = goemotions.read_goemotions(goemotions_folder)
    known = {text.lower().strip() for split in real.splits.values() for text in split.texts}
    ours = {text.lower().strip() for split in load_sample().splits.values() for text in split.texts}
    assert not known & ours


def test_a_bare_run_without_goemotions_takes_the_sample_and_says_so(tmp_path: Path) -> None:
    said: list[Event] = []
    data = load_data(DataSettings(), root=tmp_path, on_event=said.append)
    assert data.is_fallback
    assert data.facts()["is_fallback"]
    assert any(isinstance(event, Warning) and "SAMPLE" in event.message for event in said)


def test_what_the_user_named_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataNotFoundError):
        load_data(DataSettings(name="goemotions"), root=tmp_path)
    with pytest.raises(DataNotFoundError, match="no such folder"):
        load_data(DataSettings(dir=tmp_path / "nowhere"), root=tmp_path)
    monkeypatch.setenv("GOEMO_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DataNotFoundError):
        load_data(DataSettings(), root=tmp_path)


def _small_goemotions(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (folder / name).write_text("nice\t17\tid1\noh no\t14,25\tid2\n", encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(EMOTIONS), encoding="utf-8")
    return folder


def test_goemotions_is_found_below_the_root_and_odd_files_are_warned_of(tmp_path: Path) -> None:
    _small_goemotions(tmp_path / "data" / "goemotions")
    said: list[Event] = []
    data = load_data(DataSettings(), root=tmp_path, on_event=said.append)
    assert (data.name, data.is_fallback, len(data.val)) == ("goemotions", False, 2)
    assert any(isinstance(event, Warning) and "differ from the published" in event.message for event in said)


def test_one_file_is_split_by_seed(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(ROWS, encoding="utf-8")
    data, again = (load_data(DataSettings(name=str(path)), root=tmp_path) for _ in range(2))
    other = load_data(DataSettings(name=str(path), split_seed=7), root=tmp_path)
    assert data.labels == ("fear", "joy")
    assert [len(data.splits[name]) for name in ("train", "val", "test")] == [48, 6, 6]
    assert data.test.texts == again.test.texts != other.test.texts
    assert not set(data.train.texts) & set(data.test.texts)


def test_a_folder_of_splits_keeps_them(tmp_path: Path) -> None:
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,labels\n{name} a,joy\n{name} b,fear\n", encoding="utf-8")
    data = load_data(DataSettings(name=str(tmp_path)), root=tmp_path)
    assert data.val.texts == ["validation a", "validation b"]


def test_a_labels_file_gives_the_order(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("joy\nfear\nawe\n", encoding="utf-8")
    path = tmp_path / "mine.csv"
    path.write_text(ROWS, encoding="utf-8")
    data = load_data(DataSettings(name=str(path), labels_file=tmp_path / "labels.txt"), root=tmp_path)
    assert data.labels == ("joy", "fear", "awe")


@pytest.mark.parametrize(("split", "settings"), [("val", "val_file"), ("test", "test_file")])
def test_one_file_cannot_be_two_splits(tmp_path: Path, split: str, settings: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(ROWS, encoding="utf-8")
    with pytest.raises(DataError, match=rf"mine\.csv: train and {split} are the same file"):
        load_data(DataSettings.model_validate({"name": str(path), settings: path}), root=tmp_path)


def _parquet(path: Path, labels: list[Any], names: list[str] | None = None) -> None:
    """A split as the Hub keeps it: label numbers, and their names in the schema."""
    import pyarrow
    import pyarrow.parquet as parquet

    table = pyarrow.table({"text": [f"{path.stem} {at}" for at in range(len(labels))], "labels": labels})
    feature = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
    described = json.dumps({"info": {"features": {"labels": feature}}})
    parquet.write_table(table.replace_schema_metadata({"huggingface": described} if names else {}), path)


def test_parquet_of_the_hub_with_its_own_file_names(tmp_path: Path) -> None:
    names = ["joy", "awe", "calm", "never"]
    _parquet(tmp_path / "train-00000-of-00002.parquet", [[0], [1]], names)
    _parquet(tmp_path / "train-00001-of-00002.parquet", [[0, 1]], names)
    _parquet(tmp_path / "validation-00000-of-00001-b42a775f407cee45.parquet", [[1]], names)
    _parquet(tmp_path / "test-00000-of-00001.parquet", [[2]], names)
    data = load_data(DataSettings(name=str(tmp_path)), root=tmp_path)
    assert data.labels == ("awe", "calm", "joy")  # calm only in test: the file says that it is a label
    assert data.train.texts == [f"train-00000-of-00002 {at}" for at in (0, 1)] + ["train-00001-of-00002 0"]
    assert data.train.y_true.tolist() == [[False, False, True], [True, False, False], [True, False, True]]
    assert data.split_off == ()
    (tmp_path / "data").mkdir()
    for file in tmp_path.glob("*.parquet"):
        file.rename(tmp_path / "data" / file.name)
    assert load_data(DataSettings(name=str(tmp_path)), root=tmp_path).train.texts == data.train.texts
    (tmp_path / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match="only 1 of the 2 parts of train are here"):
        load_data(DataSettings(name=str(tmp_path)), root=tmp_path)


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    _parquet(tmp_path / "train-00000-of-00001.parquet", [[0], [1]], ["a", "b"])
    (tmp_path / "train.csv").write_text("text,labels\na,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="could be the train split"):
        load_data(DataSettings(name=str(tmp_path)), root=tmp_path)


def test_a_split_that_comes_out_empty_says_why(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "text,labels\n" + "".join(f"t{at},label{at // 3}\n" for at in range(90)), encoding="utf-8"
    )
    with pytest.raises(
        DataError, match=r"val split is empty: 90 rows with 30 labels \(half of these have 3 rows or"
    ) as raised:
        load_data(DataSettings(name=str(path)), root=tmp_path)
    assert "data.val_fraction" in str(raised.value)
    load_data(DataSettings(name=str(path), val_fraction=0.2, test_fraction=0.2), root=tmp_path)


def test_labels_stand_in_one_place() -> None:
    with pytest.raises(ValueError, match="are both given"):
        DataSettings(label_columns=["a", "b"], label_column="tags")
    with pytest.raises(ValueError, match="names a column twice"):
        DataSettings(label_columns=["a", "a"])


def test_hub_splits_may_have_label_columns_and_ids() -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"nr": [7, 8], "text": ["a", "b"], "joy": [1, 0], "awe": [True, False]})
    settings = DataSettings(label_columns=["joy", "awe"], id_column="nr")
    data = from_hub_splits("org/name", datasets.DatasetDict(train=rows, validation=rows, test=rows), settings)
    assert (data.labels, data.train.ids) == (("joy", "awe"), ["7", "8"])
    assert data.val.y_true.tolist() == [[True, True], [False, False]]


def test_a_single_label_is_not_enough(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,labels\n" + "a,joy\n" * 40, encoding="utf-8")
    with pytest.raises(DataError, match="at least two"):
        load_data(DataSettings(name=str(path)), root=tmp_path)


def test_first_of_shuffle_is_seeded_and_keeps_the_order() -> None:
    train = load_sample().train
    some, again, other = (first_of_shuffle(train, 50, seed) for seed in (1, 1, 2))
    assert some.texts == again.texts != other.texts
    assert [train.texts.index(text) for text in some.texts] == sorted(
        train.texts.index(text) for text in some.texts
    )
    assert first_of_shuffle(train, None, 1) is train


def test_hub_splits_with_numbered_and_named_labels() -> None:
    import datasets

    feature = datasets.Sequence(datasets.ClassLabel(names=["joy", "fear"]))
    numbered = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "labels": [[0], [0, 1], []]},
        features=datasets.Features({"text": datasets.Value("string"), "labels": feature}),
    )
    splits = datasets.DatasetDict(train=numbered, validation=numbered, test=numbered)
    data = from_hub_splits("org/name", splits, DataSettings())
    assert data.labels == ("fear", "joy")
    assert data.val.y_true.tolist() == [[False, True], [True, True], [False, False]]
    with pytest.raises(DataError, match="no column 'labels'"):
        from_hub_splits(
            "org/name", datasets.DatasetDict(train=numbered.rename_column("labels", "label")), DataSettings()
        )


@pytest.mark.parametrize(
    ("cells", "said"),
    [([[1.0, 0.0], [0.0, 1.0]], "multi-hot"), ([[3], [4]], "holds numbers"), ([1, 0], "only 0 and 1")],
)
def test_hub_numbers_without_names_are_refused_as_in_files(cells: list[Any], said: str) -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": cells})
    with pytest.raises(DataError, match=f"org/name:1: .*{said}.*--labels-file"):
        from_hub_splits("org/name", datasets.DatasetDict(train=rows), DataSettings())


class _Server(http.server.ThreadingHTTPServer):
    """Serves a folder; `failures` answers come back as 500 first, and every request is counted."""

    def __init__(self, folder: Path, failures: int = 0) -> None:
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object, **named: object) -> None:
                super().__init__(*arguments, directory=str(folder), **named)  # type: ignore[arg-type]

            def do_GET(self) -> None:
                server.asked.append(self.path)
                if len(server.asked) <= failures:
                    self.send_error(500)
                    return
                super().do_GET()

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent."""

        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.server_address[1]}/"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small stand-ins for the published files, and their hashes in place of the pinned ones."""
    folder = _small_goemotions(tmp_path / "published")
    monkeypatch.setattr(goemotions, "FILES", {name: sha256_file(folder / name) for name in goemotions.FILES})
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    monkeypatch.delenv("GOEMO_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return folder


@pytest.fixture
def running() -> Iterator[Callable[[Path, int], _Server]]:
    """Starts servers, which are stopped at the end."""
    started: list[_Server] = []

    def start(folder: Path, failures: int) -> _Server:
        started.append(_Server(folder, failures))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(
    published: Path, monkeypatch: pytest.MonkeyPatch, running: Callable[[Path, int], _Server]
) -> _Server:
    found = running(published, 0)
    monkeypatch.setenv("GOEMO_DATA_URL", found.url)
    return found


def test_download_is_verified_and_not_repeated(server: _Server, tmp_path: Path) -> None:
    said: list[Event] = []
    folder = fetching.fetch_goemotions(tmp_path / "cache", on_event=said.append)
    assert goemotions.changed_files(folder) == []
    assert len(server.asked) == 4
    fetching.fetch_goemotions(folder)
    assert len(server.asked) == 4
    total = sum(event.total or 0 for event in said if isinstance(event, PhaseStarted))
    assert sum(event.amount for event in said if isinstance(event, Advanced)) == total > 0


def test_a_damaged_file_is_fetched_again(server: _Server, tmp_path: Path) -> None:
    folder = fetching.fetch_goemotions(tmp_path / "cache")
    (folder / "dev.tsv").write_bytes(b"x")
    fetching.fetch_goemotions(folder)
    assert goemotions.changed_files(folder) == []


def test_a_failing_server_is_asked_again(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    running: Callable[[Path, int], _Server],
) -> None:
    server = running(published, 2)
    monkeypatch.setenv("GOEMO_DATA_URL", server.url)
    fetching.fetch_goemotions(tmp_path / "cache")
    assert len(server.asked) == 6


def test_a_server_with_another_file_is_refused_and_nothing_is_kept(
    server: _Server, published: Path, tmp_path: Path
) -> None:
    (published / "test.tsv").write_text("changed\t1\tid\n", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match=r"test\.tsv is not the published file") as caught:
        fetching.fetch_goemotions(tmp_path / "cache")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "cache" / "test.tsv").exists()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["dev.tsv", "train.tsv"]


def test_no_server_is_a_remote_error_without_secrets(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOEMO_DATA_URL", "http://user:secret@127.0.0.1:9/")
    with pytest.raises(
        RemoteError, match=r"train\.tsv from http://127\.0\.0\.1:9/.*GOEMO_DATA_DIR=DIR"
    ) as caught:
        fetching.fetch_goemotions(tmp_path / "cache")
    assert "secret" not in str(caught.value)


def test_a_bare_run_downloads_goemotions_where_it_can(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("goemo_cli.services.data.find.cache_folder", lambda: tmp_path / "cache")
    data = load_data(DataSettings(), root=tmp_path / "root")
    assert (data.name, data.is_fallback) == ("goemotions", False)


def test_a_data_set_of_the_hub_without_a_network_is_no_failure_of_a_server() -> None:
    with pytest.raises(OfflineError, match="'org/name' is not a local file, and the network is switched off"):
        load_data(DataSettings(name="org/name"))


def test_own_data_may_be_a_web_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: Callable[[Path, int], _Server]
) -> None:
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    (tmp_path / "bad.csv").write_bytes(b"text,labels\n\xff,joy\n")
    server = running(tmp_path, 0)
    named = DataSettings(name=f"{server.url}mine.csv.gz?token=secret")
    with pytest.raises(RemoteError, match="switched off"):
        load_data(named)
    monkeypatch.delenv("GOEMO_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    data = load_data(named)
    assert (data.name, data.labels, len(data.train)) == ("mine", ("fear", "joy"), 48)
    assert "secret" not in data.source
    for name, kind, reason in (
        ("none.csv", NotFoundError, "no such file"),
        ("bad.csv", DataFileError, r"bad\.csv:2: not UTF-8"),
    ):
        with pytest.raises(kind, match=reason) as caught:
            load_data(DataSettings(name=server.url + name))
        assert "secret" not in str(caught.value)
    failing = running(tmp_path, 1)
    with pytest.raises(RemoteError, match=r"mine\.csv\.gz \(HTTP 500\)"):
        load_data(DataSettings(name=failing.url + "mine.csv.gz"))

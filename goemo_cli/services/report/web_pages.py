"""HTML pages that contain their scripts and styles, and load nothing from other sites."""

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def web_file(package: str, name: str) -> str:
    """A file in the folder `web` of a package, with line feeds as browsers hash them."""
    text = (files(package) / "web" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").rstrip("\n")


def policy(*, scripts: tuple[str, ...], styles: tuple[str, ...], more: str = "") -> str:
    """A Content-Security-Policy that lets these inlined scripts and styles in, and nothing else.

    Args:
        scripts: the texts between `<script>` and `</script>`.
        styles: the texts between `<style>` and `</style>`.
        more: other directives, each after a semicolon.
    """

    def hashes(texts: tuple[str, ...]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()) for text in texts)
        return " ".join(f"'sha256-{digest.decode('ascii')}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; "
        f"base-uri 'none'; form-action 'none'{more}"
    )

"""Where files are put and fetched: addresses, and what is stored under them."""

import hashlib
import json
from urllib.parse import quote, unquote

from tests.wandb_server.store import Run, Store, Version, md5

SIGNATURE = "signature=loopback"
"""What makes an address good without a key, as those of a storage bucket are."""
MANIFEST = "wandb_manifest.json"


class RefusedError(Exception):
    """A request for files that cannot be met: the status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def address(name: str) -> str:
    """A file name as part of a URL; hostile ones get one that no client rewrites."""
    plain = all(part not in ("", ".", "..") for part in name.split("/")) and name.isprintable()
    return quote(name) if plain and len(name) < 1000 else "odd-" + hashlib.sha256(name.encode()).hexdigest()


def run_url(base: str, run: Run, name: str) -> str:
    """Where a run's file is fetched with a key."""
    return f"{base}/files/{quote(run.entity)}/{quote(run.project)}/{quote(run.id)}/{address(name)}"


def signed_run_url(base: str, run: Run, name: str) -> str:
    """Where a run's file is put, and fetched without a key."""
    return f"{base}/storage/runs/{quote(run.path)}/{address(name)}?{SIGNATURE}"


def signed_artifact_url(base: str, version: Version, name: str) -> str:
    """Where a version's file, or `MANIFEST` itself, is put and fetched without a key."""
    kind = "manifests" if name == MANIFEST else "artifacts"
    return f"{base}/storage/{kind}/{version.number}/{address(name)}?{SIGNATURE}"


def fetch(store: Store, path: str) -> bytes:
    """The contents at the path of one of these addresses.

    Raises:
        RefusedError: 404, nothing is there.
    """
    parts = path.strip("/").split("/")
    found: bytes | None = None
    if parts[0] == "files" or parts[:2] == ["storage", "runs"]:
        entity, project, id, *names = parts[1 if parts[0] == "files" else 2 :]
        run = store.runs.get("/".join(map(unquote, (entity, project, id))))
        found = _at("/".join(names), run.files) if run else None
    elif parts[:2] == ["storage", "artifacts"]:
        found = _at("/".join(parts[3:]), _numbered(store, parts[2]).files)
    elif parts[:2] == ["storage", "manifests"]:
        found = _numbered(store, parts[2]).manifest_bytes
    elif parts[0] == "artifactsV2":  # with a key: .../HEXDIGEST/NAME
        found = next((data for data in store.blobs.values() if _hex(data) == parts[-2]), None)
    if found is None:
        raise RefusedError(404, f"file not found: {path}")
    return found


def put(store: Store, path: str, data: bytes, *, content_md5: str | None) -> None:
    """Keep what is put at the path of one of these addresses.

    Raises:
        RefusedError: 400, the digest is not the one that was announced; 404, nobody announced it.
    """
    if content_md5 and content_md5 != md5(data):
        raise RefusedError(400, f"Content-MD5 of {path} does not match")
    kind, *parts = path.strip("/").split("/")[1:]
    if kind == "runs":
        run = store.runs["/".join(map(unquote, parts[:3]))]
        run.files[unquote("/".join(parts[3:]))] = data
        return
    version = _numbered(store, parts[0])
    name = unquote("/".join(parts[1:]))
    wanted = version.manifest_digest if kind == "manifests" else version.expected.get(name)
    if wanted is None:
        raise RefusedError(404, f"{name} was not announced")
    if wanted != md5(data):
        raise RefusedError(400, f"{name} has another digest than was announced")
    if kind == "manifests":
        version.manifest = json.loads(data)
    else:
        store.blobs[wanted] = data


def _at(wanted: str, files: dict[str, bytes]) -> bytes | None:
    return next((data for name, data in files.items() if address(name) == wanted), None)


def _numbered(store: Store, number: str) -> Version:
    found = [version for version in store.artifacts.values() if str(version.number) == number]
    if not found:
        raise RefusedError(404, f"no artifact {number}")
    return found[0]


def _hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

"""What can be asked: each thing of the store as a mapping of GraphQL fields."""

import base64
import json
import mimetypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tests.wandb_server import files
from tests.wandb_server.filters import matches, ordered
from tests.wandb_server.store import CONSOLE, EVENTS, HISTORY, Collection, Run, Store, Version, md5

View = dict[str, Any]
T = TypeVar("T")

FEATURES = (
    "LARGE_FILENAMES",
    "ARTIFACT_TAGS",
    "CLIENT_IDS",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILE_DOWNLOAD_HANDLER",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "ARTIFACT_V2_DOWNLOAD_HANDLER_SUPPORTS_ARTIFACT_ID",
    "FILESTREAM_GZIP",
)


def connection(items: Iterable[T], view: Callable[[T], Any], asked: Mapping[str, Any]) -> View:
    """A page of the items: `first` of them after the cursor `after`."""
    everything = list(items)
    start = int(asked.get("after") or 0)
    page = everything[start : start + (asked.get("first") or len(everything))]
    end = start + len(page)
    return {
        "totalCount": len(everything),
        "pageInfo": {
            "__typename": "PageInfo",
            "endCursor": str(end) if page else None,
            "hasNextPage": end < len(everything),
        },
        "edges": [{"node": view(item), "cursor": str(at)} for at, item in enumerate(page, start + 1)],
    }


class Queries:
    """The views of one store, whose files are fetched below `base`."""

    def __init__(
        self,
        store: Store,
        base: str,
        *,
        entity: str,
        entities: Iterable[str],
        organization: str | None = None,
    ) -> None:
        self.store, self.base, self.entity, self.entities = store, base, entity, tuple(entities)
        self.organization = organization

    def root(self) -> View:
        """What a query may start from."""
        return {
            "serverInfo": {
                "features": [{"name": name, "isEnabled": True} for name in FEATURES],
                "cliVersionInfo": {"max_cli_version": "1.0.0"},  # asked by 0.29
                "latestLocalVersionInfo": None,
            },
            "viewer": self.viewer(),
            "entity": lambda asked: self.owner(asked["name"]),
            "organization": None,
            "project": lambda asked: self.project(
                asked.get("entityName") or self.entity, asked.get("name") or "uncategorized"
            ),
            "model": lambda asked: self.project(
                asked.get("entityName") or self.entity, asked.get("name") or "uncategorized"
            ),
            "models": lambda asked: connection(
                [
                    where
                    for where in self.store.projects
                    if where[0] == (asked.get("entityName") or self.entity)
                ],
                lambda where: self.project(*where),
                asked,
            ),
            "artifact": lambda asked: self.optional(self.artifact, self.store.artifacts.get(asked["id"])),
            "artifactCollection": lambda asked: self.optional(
                self.collection,
                next((one for one in self.store.collections.values() if one.id == asked["id"]), None),
            ),
            "clientIDMapping": lambda asked: (
                {"serverID": self.store.clients[asked["clientID"]]}
                if asked["clientID"] in self.store.clients
                else None
            ),
        }

    @staticmethod
    def optional(view: Callable[[T], View], item: T | None) -> View | None:
        """The view of an item that may not be there."""
        return None if item is None else view(item)

    def viewer(self) -> View:
        """The one user of this server."""
        return {
            "__typename": "User",
            "id": "VXNlcjox",
            "name": self.entity,
            "username": self.entity,
            "entity": self.entity,
            "email": f"{self.entity}@example.org",
            "admin": False,
            "flags": "{}",
            "deletedAt": None,
            "apiKeys": {"edges": []},
            "teams": {"edges": [{"node": {"name": name}} for name in self.entities]},
        }

    def owner(self, name: str) -> View | None:
        """An entity, in the organization of this server if it has one; None for an unknown entity."""
        if name not in self.entities:
            return None
        named = {"name": self.organization, "orgEntity": {"name": self.organization}}
        return {
            "__typename": "Entity",
            "id": name,
            "name": name,
            "organization": None,
            "user": {"organizations": [named] if self.organization else []},
            "xxhashDigestsEnabled": False,
            "project": lambda asked: self.project(name, asked["name"]),
        }

    def project(self, entity: str, project: str) -> View | None:
        """A project; None for an unknown one."""
        store = self.store
        if (entity, project) not in store.projects:
            return None
        number = store.projects[entity, project]

        def of_project() -> list[Collection]:
            return [
                one for one in store.collections.values() if (one.entity, one.project) == (entity, project)
            ]

        def named(name: str) -> Collection | None:
            return store.collections.get(f"{entity}/{project}/{name}")

        def runs(asked: Mapping[str, Any]) -> list[Run]:
            there = [run for run in store.runs.values() if (run.entity, run.project) == (entity, project)]
            filters = json.loads(asked.get("filters") or "{}")
            return ordered([run for run in there if matches(run, filters)], asked.get("order"))

        def membership(asked: Mapping[str, Any]) -> View | None:
            name, _, alias = asked["name"].partition(":")
            collection = named(name)
            version = collection.find(alias or "latest") if collection else None
            return self.membership(collection, version) if collection and version else None

        def version(asked: Mapping[str, Any]) -> View | None:
            name, _, alias = asked["name"].partition(":")
            collection = named(name)
            return self.optional(self.artifact, collection.find(alias or "latest") if collection else None)

        def artifact_type(asked: Mapping[str, Any]) -> View | None:
            return self.artifact_type(asked["name"], of_project())

        def run(asked: Mapping[str, Any]) -> View | None:
            return self.optional(self.run, store.runs.get(f"{entity}/{project}/{asked['name']}"))

        return {
            "__typename": "Project",
            "id": base64.b64encode(f"Project:v1:{project}:{entity}".encode()).decode(),
            "internalId": base64.b64encode(f"ProjectInternalId:{number}".encode()).decode(),
            "name": project,
            "entityName": entity,
            "entity": {"id": entity, "name": entity},
            "createdAt": "2026-01-01T00:00:00Z",
            "isBenchmark": False,
            "readOnly": False,
            "user": self.viewer(),
            "run": run,
            "bucket": run,
            "runs": lambda asked: connection(runs(asked), self.run, asked),
            "runCount": lambda asked: len(runs(asked)),
            "sweeps": lambda asked: connection([], dict, asked),
            "artifact": version,
            "artifactCollectionMembership": membership,
            "artifactCollection": lambda asked: self.optional(self.collection, named(asked["name"])),
            "artifactCollections": lambda asked: connection(of_project(), self.collection, asked),
            "artifactType": artifact_type,
            "artifactTypes": lambda asked: connection(
                sorted({one.type for one in of_project()}),
                lambda name: self.artifact_type(name, of_project()),
                asked,
            ),
        }

    def run(self, run: Run) -> View:
        """A run, its files, history and lineage."""
        history, events = run.lines.get(HISTORY, []), run.lines.get(EVENTS, [])

        def rows(asked: Mapping[str, Any]) -> list[str]:
            low, high = asked.get("minStep") or 0, asked.get("maxStep")
            kept = [row for row in run.history if row.get("_step", 0) >= low]
            kept = [row for row in kept if high is None or row.get("_step", 0) < high]
            return [json.dumps(row) for row in kept[: asked.get("samples") or None]]

        def sampled(asked: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
            found = []
            for spec in asked["specs"]:
                wanted = json.loads(spec)
                keys = [key for key in wanted.get("keys", []) if key]
                full = [row for row in run.history if all(key in row for key in keys)]
                kept = [{key: row[key] for key in keys} if keys else row for row in full]
                found.append(kept[: wanted.get("samples") or None])
            return found

        def run_files(asked: Mapping[str, Any]) -> View:
            names = [name for name in run.files if not asked.get("names") or name in asked["names"]]
            if asked.get("pattern"):
                names = [name for name in names if like(name, asked["pattern"])]
            return connection(sorted(names), lambda name: self.run_file(run, name), asked)

        return {
            "__typename": "Run",
            "id": run.node,
            "name": run.id,
            "displayName": run.name,
            "projectId": str(self.store.projects[run.entity, run.project]),
            "project": lambda asked: self.project(run.entity, run.project),
            "description": run.description,
            "notes": run.notes,
            "tags": run.tags,
            "group": run.group,
            "groupName": run.group,
            "jobType": run.job_type,
            "commit": run.commit,
            "host": run.host,
            "sweepName": None,
            "readOnly": False,
            "stopped": False,
            "state": run.state,
            "createdAt": run.created_at,
            "heartbeatAt": run.heartbeat_at,
            "user": self.viewer(),
            "config": json.dumps(run.raw_config),
            "wandbConfig": json.dumps(run.raw_config.get("_wandb", {}).get("value", {})),
            "summaryMetrics": json.dumps(run.summary),
            "systemMetrics": json.dumps(run.events[-1] if run.events else {}),
            "historyLineCount": len(history),
            "eventsLineCount": len(events),
            "logLineCount": len(run.lines.get(CONSOLE, [])),
            "historyTail": json.dumps(history[-1:]),
            "eventsTail": json.dumps(events[-1:]),
            "historyKeys": history_keys(run),
            "history": rows,
            "events": lambda asked: events,
            "sampledHistory": sampled,
            "parquetHistory": {"parquetUrls": [], "liveData": []},
            "fileCount": len(run.files),
            "files": run_files,
            "outputArtifacts": lambda asked: connection(run.logged, self.artifact, asked),
            "inputArtifacts": lambda asked: connection(run.used, self.artifact, asked),
        }

    def run_file(self, run: Run, name: str) -> View:
        """A file of a run, with what is declared of it in place of the truth."""
        data = run.files[name]
        return {
            "__typename": "File",
            "id": base64.b64encode(f"File:{run.path}/{name}".encode()).decode(),
            "name": name,
            "displayName": name,
            "url": files.run_url(self.base, run, name),
            "directUrl": files.signed_run_url(self.base, run, name),
            "sizeBytes": len(data),
            "md5": md5(data),
            "digest": md5(data),
            "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "updatedAt": run.heartbeat_at,
            **run.declared.get(name, {}),
        }

    def artifact(self, version: Version) -> View:
        """A version of a W&B artifact."""
        collection = version.collection
        linked = [one for one in self.store.collections.values() if version in one.versions]
        manifest = {
            "id": f"manifest-{version.number}",
            "file": {
                "id": f"manifest-file-{version.number}",
                "directUrl": files.signed_artifact_url(self.base, version, files.MANIFEST),
            },
        }
        return {
            "__typename": "Artifact",
            "id": version.id,
            "artifactSequence": lambda asked: self.collection(collection),
            "versionIndex": version.index,
            "artifactType": {"__typename": "ArtifactType", "id": collection.type, "name": collection.type},
            "description": version.description,
            "metadata": json.dumps(version.metadata),
            "ttlDurationSeconds": version.ttl or -1,
            "ttlIsInherited": version.ttl is None,
            "tags": [tag(name) for name in version.tags],
            "historyStep": version.history_step,
            "state": version.state,
            "size": sum(entry.get("size") or 0 for entry in version.entries.values()),
            "digest": version.digest,
            "digestAlgorithm": version.digest_algorithm,
            "commitHash": None,
            "fileCount": len(version.entries),
            "createdAt": version.created_at,
            "updatedAt": version.created_at,
            "aliases": lambda asked: [
                self.alias(name, one)
                for one in linked
                for name, aliased in one.aliases.items()
                if aliased is version
            ],
            "currentManifest": manifest if version.manifest else None,
            "createdBy": lambda asked: self.optional(self.run, version.logged_by),
            "usedBy": lambda asked: connection(version.used_by, self.run, asked),
            "artifactMemberships": lambda asked: connection(
                linked, lambda one: self.membership(one, version), asked
            ),
            "files": lambda asked: self.artifact_files(version, asked),
        }

    def membership(self, collection: Collection, version: Version) -> View:
        """A version as one of a collection, its own or one it was linked to."""
        index = collection.versions.index(version)
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": f"membership-{collection.number}-{index}",
            "versionIndex": index,
            "createdAt": version.created_at,
            "aliases": [
                self.alias(name, collection) for name, one in collection.aliases.items() if one is version
            ],
            "artifactCollection": lambda asked: self.collection(collection),
            "artifact": lambda asked: self.artifact(version),
            "files": lambda asked: self.artifact_files(version, asked),
        }

    def artifact_files(self, version: Version, asked: Mapping[str, Any]) -> View:
        """A page of a version's files, without references."""

        def view(name: str) -> View:
            entry = version.entries[name]
            url = files.signed_artifact_url(self.base, version, name)
            return {
                "__typename": "File",
                "id": f"file-{version.number}-{files.address(name)}",
                "name": name,
                "displayName": name,
                "url": url,
                "directUrl": url,
                "sizeBytes": entry.get("size"),
                "storagePath": None,
                "mimetype": mimetypes.guess_type(name)[0],
                "updatedAt": version.created_at,
                "digest": entry["digest"],
                "md5": entry["digest"],
            }

        names = [name for name, entry in version.entries.items() if "ref" not in entry]
        return connection(
            [name for name in names if not asked.get("names") or name in asked["names"]], view, asked
        )

    def collection(self, collection: Collection) -> View:
        """A collection of versions."""

        def membership(asked: Mapping[str, Any]) -> View | None:
            version = collection.find(asked["aliasName"])
            return self.membership(collection, version) if version else None

        def versions(asked: Mapping[str, Any]) -> View:
            page = connection(reversed(collection.versions), self.artifact, asked)
            for edge in page["edges"]:
                edge["version"] = f"v{edge['node']['versionIndex']}"
            return page

        return {
            "__typename": collection.kind,
            "id": collection.id,
            "name": collection.name,
            "state": "READY",
            "description": collection.description,
            "createdAt": collection.created_at,
            "updatedAt": collection.created_at,
            "project": lambda asked: self.project(collection.entity, collection.project),
            "defaultArtifactType": {"id": collection.type, "name": collection.type},
            "digestAlgorithm": "MANIFEST_MD5",
            "tags": connection(collection.tags, tag, {}),
            "aliases": lambda asked: connection(
                collection.aliases, lambda name: self.alias(name, collection), asked
            ),
            "latestArtifact": lambda asked: self.optional(self.artifact, collection.aliases.get("latest")),
            "artifactMembership": membership,
            "artifacts": versions,
        }

    def alias(self, name: str, collection: Collection) -> View:
        """An alias of a version in a collection."""
        return {
            "__typename": "ArtifactAlias",
            "id": f"alias-{collection.number}-{name}",
            "alias": name,
            "artifactCollection": lambda asked: self.collection(collection),
        }

    def artifact_type(self, name: str, collections: list[Collection]) -> View | None:
        """A type, while there is a collection of it."""
        found = {one.name: one for one in collections if one.type == name}
        if not found:
            return None
        return {
            "__typename": "ArtifactType",
            "id": name,
            "name": name,
            "description": None,
            "createdAt": min(one.created_at for one in found.values()),
            "artifactCollection": lambda asked: self.optional(self.collection, found.get(asked["name"])),
            "artifactCollections": lambda asked: connection(found.values(), self.collection, asked),
        }


def tag(name: str) -> View:
    """A tag."""
    return {"__typename": "Tag", "id": f"tag-{name}", "name": name}


def history_keys(run: Run) -> View | None:
    """Which keys were logged and the last step; None before the first row."""
    rows = run.history
    if not rows:
        return None
    keys: dict[str, View] = {}
    for row in rows:
        for key, value in row.items():
            kind = (
                "number" if isinstance(value, int | float) else "string" if isinstance(value, str) else "map"
            )
            entry = keys.setdefault(key, {"typeCounts": [{"type": kind, "count": 0}], "previousValue": value})
            entry["typeCounts"][0]["count"] += 1
            entry["previousValue"] = value
    return {"sets": [], "keys": keys, "lastStep": rows[-1].get("_step", len(rows) - 1)}


def like(name: str, pattern: str) -> bool:
    """SQL's LIKE, of which the SDK uses `%` alone."""
    at = 0
    first, *rest = pattern.split("%")
    if not rest:
        return name == pattern
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return name.endswith(rest[-1]) and len(name) - len(rest[-1]) >= at

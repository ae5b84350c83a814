"""What can be changed: runs begin, files are announced, W&B artifacts are made, committed, used and linked."""

import json
from collections.abc import Callable
from typing import Any

from tests.wandb_server import files
from tests.wandb_server.graphql import GraphQLError
from tests.wandb_server.queries import Queries, View
from tests.wandb_server.store import Collection, Run, Version, now

Input = dict[str, Any]


class Mutations:
    """The changes to one store; each takes the `input` of its field and answers its payload."""

    def __init__(self, queries: Queries) -> None:
        self.queries, self.store, self.base = queries, queries.store, queries.base

    def root(self) -> View:
        """What a mutation may start from."""
        known: dict[str, Callable[[Input], View]] = {
            "upsertBucket": self.upsert_bucket,
            "upsertModel": self.upsert_model,
            "createRunFiles": self.create_run_files,
            "markRunFilesUploaded": lambda given: {"success": True},
            "deleteFiles": self.delete_files,
            "deleteRun": self.delete_run,
            "updateRunState": self.update_run_state,
            "stopRun": lambda given: {"success": True},
            "createArtifact": self.create_artifact,
            "createArtifactManifest": self.announce_manifest,
            "updateArtifactManifest": self.announce_manifest,
            "createArtifactFiles": self.create_artifact_files,
            "commitArtifact": self.commit_artifact,
            "updateArtifact": self.update_artifact,
            "deleteArtifact": self.delete_artifact,
            "useArtifact": self.use_artifact,
            "addAliases": self.add_aliases,
            "deleteAliases": self.delete_aliases,
            "linkArtifact": self.link_artifact,
        }
        return {name: self._field(change) for name, change in known.items()}

    @staticmethod
    def _field(change: Callable[[Input], View]) -> Callable[[View], View]:
        return lambda asked: change(
            {name: value for name, value in asked["input"].items() if value is not None}
        )

    def upsert_bucket(self, given: Input) -> View:
        """A run begins, goes on or is renamed."""
        run = self._run_of_node(given["id"]) if "id" in given else None
        inserted = False
        if run is None:
            entity = given.get("entityName") or self.queries.entity
            project = given.get("modelName") or "uncategorized"
            if entity not in self.queries.entities:
                raise GraphQLError(f"entity {entity} not found during upsertBucket", status=404)
            inserted = f"{entity}/{project}/{given['name']}" not in self.store.runs
            run = self.store.run(entity, project, given["name"])
            run.state = given.get("state", "running")
        plain = {
            "displayName": "name",
            "notes": "notes",
            "description": "description",
            "tags": "tags",
            "groupName": "group",
            "jobType": "job_type",
            "commit": "commit",
            "host": "host",
            "jobProgram": "program",
        }
        for name, attribute in plain.items():
            if name in given:
                setattr(run, attribute, given[name])
        if "config" in given:
            run.raw_config = json.loads(given["config"])
        if "summaryMetrics" in given:
            run.summary = json.loads(given["summaryMetrics"])
        run.heartbeat_at = now()
        view = self.queries.run(run)
        return {"bucket": view, "model": view["project"], "inserted": inserted, "updated": not inserted}

    def upsert_model(self, given: Input) -> View:
        """A project is made."""
        entity = given.get("entityName") or self.queries.entity
        if entity not in self.queries.entities:
            raise GraphQLError(f"entity {entity} not found", status=404)
        inserted = (entity, given["name"]) not in self.store.projects
        self.store.project(entity, given["name"])
        view = self.queries.project(entity, given["name"])
        return {"project": view, "model": view, "inserted": inserted}

    def create_run_files(self, given: Input) -> View:
        """Files of a run are announced; they are there when they were put."""
        run = self._run(given)
        return {
            "runID": run.node,
            "uploadHeaders": [],
            "files": [
                {"name": name, "uploadUrl": files.signed_run_url(self.base, run, name)}
                for name in given["files"]
            ],
        }

    def delete_files(self, given: Input) -> View:
        """Files of runs are removed."""
        for run in self.store.runs.values():
            for name in list(run.files):
                if self.queries.run_file(run, name)["id"] in given["files"]:
                    del run.files[name]
        return {"success": True}

    def delete_run(self, given: Input) -> View:
        """A run is removed; its artifacts stay."""
        run = self._run_of_node(given["id"])
        if run:
            del self.store.runs[run.path]
        return {"clientMutationId": None, "success": run is not None}

    def update_run_state(self, given: Input) -> View:
        """A run is declared failed or pending."""
        run = self._run_of_node(given["id"])
        if run:
            run.state = given["state"]
        return {"success": run is not None}

    def create_artifact(self, given: Input) -> View:
        """A version is announced, or the one with this digest is found and gets the aliases."""
        run = self._run(given) if given.get("runName") else None
        entity = given.get("entityName") or self.queries.entity
        name = given.get("artifactCollectionName") or given["artifactCollectionNames"][0]
        collection = self.store.collection(
            entity, given["projectName"], name, given["artifactTypeName"], "ArtifactSequence"
        )
        if collection.type != given["artifactTypeName"]:
            raise GraphQLError(f"Artifact {name} already exists with type {collection.type}")
        aliases = [one["alias"] for one in given.get("aliases", [])]
        same = [version for version in collection.versions if version.digest == given["digest"]]
        if same:
            version = same[-1]
            collection.aliases.update(dict.fromkeys(aliases, version))
            if run and version not in run.logged:
                run.logged.append(version)
        else:
            version = self.store.version(
                collection,
                given["digest"],
                digest_algorithm=given.get("digestAlgorithm") or "MANIFEST_MD5",
                description=given.get("description"),
                metadata=json.loads(given.get("metadata") or "{}"),
                ttl=given.get("ttlDurationSeconds"),
                history_step=given.get("historyStep"),
                tags=[one["tagName"] for one in given.get("tags", [])],
                logged_by=run,
                wanted_aliases=aliases,
            )
        if given.get("clientID"):
            self.store.clients[given["clientID"]] = version.id
        return {"__typename": "CreateArtifactPayload", "artifact": self.queries.artifact(version)}

    def announce_manifest(self, given: Input) -> View:
        """The manifest of a version is announced; the first announcement asks for no upload yet."""
        if "artifactManifestID" in given:
            number = given["artifactManifestID"].removeprefix("manifest-")
            version = next(one for one in self.store.artifacts.values() if str(one.number) == number)
        else:
            version = self._version(given["artifactID"])
        version.manifest_digest = given.get("digest", version.manifest_digest)
        return {
            "artifactManifest": {
                "id": f"manifest-{version.number}",
                "file": {
                    "id": f"manifest-file-{version.number}",
                    "uploadUrl": files.signed_artifact_url(self.base, version, files.MANIFEST),
                    "uploadHeaders": [],
                },
            }
        }

    def create_artifact_files(self, given: Input) -> View:
        """Files of a version are announced with their digests; what the server has need not be put again."""
        edges = []
        for wanted in given["artifactFiles"]:
            version, name = self._version(wanted["artifactID"]), wanted["name"]
            digest = wanted.get("md5") or wanted.get("digest")
            version.expected[name] = digest
            url = files.signed_artifact_url(self.base, version, name)
            node = {
                "id": f"file-{version.number}-{files.address(name)}",
                "name": name,
                "displayName": name,
                "storagePath": f"wandb_artifacts/{version.number}/{name}",
                "uploadUrl": None if digest in self.store.blobs else url,
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": version.id},
            }
            edges.append({"node": node})
        return {"files": {"edges": edges}}

    def commit_artifact(self, given: Input) -> View:
        """A version is complete: counted only if all that its manifest names arrived."""
        version = self._version(given["artifactID"])
        missing = [
            name
            for name, entry in version.entries.items()
            if "ref" not in entry and name not in version.files
        ]
        if not version.manifest or missing:
            raise GraphQLError(f"artifact is incomplete: {', '.join(missing) or 'no manifest'}")
        if version.digest_algorithm == "MANIFEST_MD5" and version.digest != version.computed_digest:
            raise GraphQLError(f"the digest of {version.collection.name} does not follow from its manifest")
        self.store.commit(version)
        return {"artifact": self.queries.artifact(version)}

    def update_artifact(self, given: Input) -> View:
        """A version's description, metadata or aliases change."""
        version = self._version(given["artifactID"])
        if "metadata" in given:
            version.metadata = json.loads(given["metadata"])
        if "description" in given:
            version.description = given["description"]
        for one in given.get("aliases", []):
            collection = self._collection(version, one["artifactCollectionName"])
            collection.aliases[one["alias"]] = version
        return {"artifact": self.queries.artifact(version)}

    def delete_artifact(self, given: Input) -> View:
        """A version is emptied and loses its aliases; its number is not given again."""
        version = self._version(given["artifactID"])
        version.state = "DELETED"
        for collection in self.store.collections.values():
            collection.aliases = {name: one for name, one in collection.aliases.items() if one is not version}
        return {"artifact": self.queries.artifact(version)}

    def use_artifact(self, given: Input) -> View:
        """A version becomes an input of a run."""
        version = self._version(given["artifactID"])
        self.store.use(self._run(given), version)
        return {"artifact": self.queries.artifact(version)}

    def add_aliases(self, given: Input) -> View:
        """Aliases move to a version."""
        version = self._version(given["artifactID"])
        for one in given["aliases"]:
            self._named(one).aliases[one["alias"]] = version
        return {"success": True}

    def delete_aliases(self, given: Input) -> View:
        """Aliases of a version are removed."""
        version = self._version(given["artifactID"])
        for one in given["aliases"]:
            if self._named(one).aliases.get(one["alias"]) is version:
                del self._named(one).aliases[one["alias"]]
        return {"success": True}

    def link_artifact(self, given: Input) -> View:
        """A version becomes one of another collection too."""
        id = given.get("artifactID") or self.store.clients.get(given.get("clientID", ""), "")
        version = self._version(id)
        collection = self.store.collection(
            given["entityName"],
            given["projectName"],
            given["artifactPortfolioName"],
            version.collection.type,
            "ArtifactPortfolio",
        )
        collection.add(version, [one["alias"] for one in given.get("aliases", [])])
        membership = self.queries.membership(collection, version)
        return {"versionIndex": membership["versionIndex"], "artifactMembership": membership}

    def _run(self, given: Input) -> Run:
        entity, project = given.get("entityName") or self.queries.entity, given["projectName"]
        path = f"{entity}/{project}/{given['runName']}"
        if path not in self.store.runs:
            raise GraphQLError(f"run {path} not found")
        return self.store.runs[path]

    def _run_of_node(self, node: str) -> Run | None:
        return next((run for run in self.store.runs.values() if run.node == node), None)

    def _version(self, id: str) -> Version:
        if id not in self.store.artifacts:
            raise GraphQLError(f"artifact {id} not found")
        return self.store.artifacts[id]

    def _named(self, alias: Input) -> Collection:
        """The collection that an alias is in, which names it in full."""
        path = f"{alias['entityName']}/{alias['projectName']}/{alias['artifactCollectionName']}"
        if path not in self.store.collections:
            raise GraphQLError(f"artifact collection {path} not found")
        return self.store.collections[path]

    def _collection(self, version: Version, name: str) -> Collection:
        own = version.collection
        return self.store.collections.get(f"{own.entity}/{own.project}/{name}", own)

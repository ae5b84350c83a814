"""A server that also keeps W&B reports, which the API calls views."""

import json
from typing import Any

from tests.wandb_server.graphql import GraphQLError
from tests.wandb_server.mutations import Input, Mutations
from tests.wandb_server.queries import View
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import now


class ReportMutations(Mutations):
    """The changes to a store, and to the views beside it."""

    views: dict[str, View]

    def root(self) -> View:
        """What a mutation may start from."""
        return {**super().root(), "upsertView": self._field(self.upsert_view)}

    def upsert_view(self, given: Input) -> View:
        """A report is made, or changed where it has an id."""
        where = given["entityName"], given["projectName"]
        if where not in self.store.projects:
            raise GraphQLError(f"project {'/'.join(where)} not found", status=404)
        json.loads(given["spec"])
        inserted = "id" not in given
        id = given.get("id") or f"Vmlldzo{len(self.views) + 1}"
        self.views[id] = {
            "__typename": "View",
            "id": id,
            "description": None,
            "project": lambda asked: self.queries.project(*where),
            "updatedAt": now(),
            **{
                key: given[key]
                for key in ("type", "name", "displayName", "description", "spec")
                if key in given
            },
        }
        return {"view": self.views[id], "inserted": inserted}


class ReportServer(WandbServer):
    """`with ReportServer() as server`; the reports that arrived are in `views`, by their id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.views: dict[str, View] = {}

    def start(self) -> None:
        """As the server without reports."""
        super().start()
        mutations = ReportMutations(self.queries)
        mutations.views = self.views
        self.mutations = mutations

    def blocks(self, id: str) -> list[dict[str, Any]]:
        """The blocks of a report, as they were sent."""
        found: list[dict[str, Any]] = json.loads(self.views[id]["spec"])["blocks"]
        return found

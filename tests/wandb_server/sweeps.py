"""A server that also keeps sweeps: it takes them, tells agents what to run, and forgets nothing they say."""

import json
from itertools import cycle
from typing import Any

import yaml

from tests.wandb_server.mutations import Input, Mutations
from tests.wandb_server.queries import Queries, View
from tests.wandb_server.server import WandbServer


class SweepQueries(Queries):
    """A project also knows its sweeps."""

    sweeps: dict[str, View]

    def project(self, entity: str, project: str) -> View | None:
        """A project, with the sweep that is asked for."""
        found = super().project(entity, project)
        return found and {**found, "sweep": lambda asked: self.sweeps.get(asked["sweepName"])}


class SweepMutations(Mutations):
    """The changes to a store, and to the sweeps beside it."""

    sweeps: dict[str, View]

    def root(self) -> View:
        """What a mutation may start from."""
        return {
            **super().root(),
            "upsertSweep": self._field(self.upsert_sweep),
            "createAgent": self._field(lambda given: {"agent": {"id": given["sweep"]}}),
            "agentHeartbeat": self._field(self.heartbeat),
        }

    def upsert_sweep(self, given: Input) -> View:
        """A sweep is made."""
        where = given.get("entityName") or self.queries.entity, given["projectName"]
        self.store.project(*where)
        name = f"sweep{len(self.sweeps) + 1}"
        self.sweeps[name] = {
            "id": name,
            "name": name,
            "config": given["config"],
            "state": "RUNNING",
            "runs": {"edges": []},
            "project": lambda asked: self.queries.project(*where),
            "told": [],
        }
        return {"sweep": self.sweeps[name], "configValidationWarnings": []}

    def heartbeat(self, given: Input) -> View:
        """An agent that runs nothing is told the next run: of every parameter the next of its values."""
        sweep = self.sweeps[given["id"]]
        commands = []
        if not any(json.loads(given["runState"]).values()):  # by run, whether it runs
            config, at = yaml.safe_load(sweep["config"]), len(sweep["told"])
            args = {name: {"value": _value(entry, at)} for name, entry in config["parameters"].items()}
            command = {
                "type": "run",
                "run_id": f"run{at + 1:05d}",
                "program": config["program"],
                "args": args,
            }
            sweep["told"].append(command)
            commands = [command]
        return {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}


class SweepServer(WandbServer):
    """`with SweepServer() as server`; the sweeps that arrived are in `sweeps`, with what their agents were told."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sweeps: dict[str, View] = {}

    def start(self) -> None:
        """As the server without sweeps."""
        super().start()
        queries = SweepQueries(self.store, self.url, entity=self.entity, entities=self.entities)
        mutations = SweepMutations(queries)
        queries.sweeps = mutations.sweeps = self.sweeps
        self.queries, self.mutations = queries, mutations


def _value(entry: dict[str, Any], at: int) -> Any:
    if "value" in entry:
        return entry["value"]
    values = cycle(entry.get("values") or [entry["min"], entry["max"]])
    return [next(values) for _ in range(at + 1)][-1]

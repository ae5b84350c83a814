"""A server that also keeps sweeps: it takes them, tells agents what to run, and forgets nothing they say."""

import json
from itertools import cycle
from typing import Any

import yaml

from tests.wandb_server.mutations import Input, Mutations
from tests.wandb_server.queries import Queries, View, connection
from tests.wandb_server.server import WandbServer
from tests.wandb_server.store import Run

_UNUSED = (
    "method", "description", "createdAt", "heartbeatAt", "updatedAt", "earlyStopJobRunning", "bestLoss", "controller",
    "scheduler",
)  # fmt: skip


class SweepQueries(Queries):
    """A project also knows its sweeps."""

    sweeps: dict[str, View]

    def root(self) -> View:
        """As without sweeps; this server takes suggestions of a scheduler that runs elsewhere."""
        found = super().root()
        features = [*found["serverInfo"]["features"], {"name": "SWEEPS_LOCAL_SCHEDULER", "isEnabled": True}]
        return {**found, "serverInfo": {**found["serverInfo"], "features": features}}

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
            "enqueueSweepRun": self._field(self.enqueue_run),
        }

    def upsert_sweep(self, given: Input) -> View:
        """A sweep is made, or its state changes."""
        if "id" in given:
            sweep = self.sweeps[given["id"]]
            sweep["state"] = given.get("state", sweep["state"])
            return {"sweep": sweep, "configValidationWarnings": []}
        where = given.get("entityName") or self.queries.entity, given["projectName"]
        self.store.project(*where)
        name = f"sweep{len(self.sweeps) + 1}"
        self.sweeps[name] = {
            **dict.fromkeys(_UNUSED),
            "id": name,
            "name": name,
            "displayName": name,
            "controllerRunName": f"controller-{name}",
            "config": given["config"],
            "state": "RUNNING",
            "runs": lambda asked: connection(self._runs_of(name), self.queries.run, asked),
            "project": lambda asked: self.queries.project(*where),
            "told": [],
            "queue": [],
        }
        return {"sweep": self.sweeps[name], "configValidationWarnings": []}

    def enqueue_run(self, given: Input) -> View:
        """A scheduler suggests a run; the next agent that asks gets it."""
        sweep = self.sweeps[given["id"]]
        project = sweep["project"]({})
        run = self.store.run(project["entityName"], project["name"], f"run{len(sweep['queue']) + 1:05d}")
        run.state, run.raw_config = "pending", json.loads(given["config"])
        sweep["queue"].append(run)
        return {"id": run.id, "runQueueItemId": run.id}

    def heartbeat(self, given: Input) -> View:
        """An agent that runs nothing is told the next run: of every parameter the next of its values, or as suggested."""
        sweep = self.sweeps[given["id"]]
        commands = []
        if not any(json.loads(given["runState"]).values()):  # by run, whether it runs
            config, at = yaml.safe_load(sweep["config"]), len(sweep["told"])
            if "scheduler" not in config:
                args = {name: {"value": _value(entry, at)} for name, entry in config["parameters"].items()}
                commands = [self._command(config, f"run{at + 1:05d}", args)]
            elif at < len(sweep["queue"]):
                run = sweep["queue"][at]
                commands = [self._command(config, run.id, run.raw_config)]
            sweep["told"] += commands
        return {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}

    @staticmethod
    def _command(config: View, run_id: str, args: View) -> View:
        return {"type": "run", "run_id": run_id, "program": config["program"], "args": args}

    def _runs_of(self, sweep: str) -> list[Run]:
        told = {command["run_id"] for command in self.sweeps[sweep]["told"]}
        queued = [run for run in self.sweeps[sweep]["queue"] if run.id not in told]
        return [*queued, *(run for run in self.store.runs.values() if run.id in told)]


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

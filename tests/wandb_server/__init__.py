"""A W&B server on the loopback for the real, unmodified SDK (tried with 0.31): standard library only, all in memory.

    with WandbServer() as server:
        environment = os.environ | server.environment(folder)
        subprocess.run([...], env=environment, timeout=600)     # or a SDK in this process, with monkeypatch.setenv
        run = server.runs["tester/project/id"]                  # .config .summary .history .files .state .exit_code
        model = server.artifacts["tester/project/name"]         # .versions .aliases .type; only what was committed
        model.aliases["latest"].files                           # name -> bytes; .metadata .logged_by .used_by .manifest

`server.key` is the one good key, `server.entity` ("tester") owns what names no entity, "team" exists too, all others are
refused. Rows of the history leave the SDK every 15 s; `environment | QUICK` makes it one.

Things to be there already: `server.add_run(...)` and `server.add_artifact(...)`, with hostile file names if need be;
`run.declared[name] = {"sizeBytes": 1, "md5": "..."}` lies about a file, `version.manifest` may be changed at will.

Things to go wrong: `server.faults.add(...)` with the fields of `faults.Fault`, for the addresses

    POST /graphql                                      with operation="CommitArtifact" and the like
    POST /files/ENTITY/PROJECT/RUN/file_stream         history, summary, console; the last one ends the run
    GET  /files/ENTITY/PROJECT/RUN/NAME                a run's file, with the key
    PUT  /storage/runs/ENTITY/PROJECT/RUN/NAME         a run's file, signed
    PUT, GET /storage/artifacts/NUMBER/NAME            a version's file, signed; GET /artifactsV2/.../NAME with the key,
    PUT, GET /storage/manifests/NUMBER/...             to which the SDK falls back

`server.stop()` in the middle keeps what arrived; `server.start()` goes on, on the same port.

Answered: init, resume, log, summary, save, media, tables, finish, `wandb sync`; Api().run, .runs (filters, order, pages),
.files, .scan_history, .history; W&B artifacts: log, use, link within a project, download, verify, aliases, tags,
metadata, logged_by, used_by, logged_artifacts, used_artifacts, lists of types, collections and versions.
Held against the client, as the real one does: the key; Content-MD5 and announced digests of uploads; a commit without
all files or with a digest that its manifest does not have; offsets of the file stream; an entity that does not exist.

Reports and sweeps: see `reports.py` and `sweeps.py`.

Not answered: launch, automations, registries and organizations, members, parquet exports of the history,
uploads in parts (above 2 GiB), range requests, incremental artifacts, rewinding of runs. What was asked and not known is
null in the answer and listed in `server.unanswered`; tracebacks of the server itself are in `server.bugs`.

`python -m tests.wandb_server --port 8111` serves by itself and prints the variables to set.
"""

from tests.wandb_server.server import KEY, QUICK, WandbServer

__all__ = ["KEY", "QUICK", "WandbServer"]

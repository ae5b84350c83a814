"""The file stream of a run: chunks of lines at offsets, and the word that it is over."""

import json
from typing import Any

from tests.wandb_server.store import SUMMARY, Run, now


def take(run: Run, sent: dict[str, Any]) -> dict[str, Any]:
    """Apply one POST to the run and answer it.

    A chunk's `offset` is the number of the line it starts at: lines that were there are replaced, so a chunk that
    is sent twice changes nothing.
    """
    for name, chunk in (sent.get("files") or {}).items():
        lines = run.lines.setdefault(name, [])
        content, offset = chunk["content"], chunk.get("offset") or 0
        if name == SUMMARY:
            run.summary = json.loads(content[-1])
            run.lines[name] = content[-1:]
        else:
            lines.extend([""] * (offset - len(lines)))
            lines[offset : offset + len(content)] = content
    if sent.get("complete"):
        run.exit_code = sent.get("exitcode") or 0
        run.state = "failed" if run.exit_code else "finished"
    elif run.state != "running" and sent.get("files"):
        run.state = "running"
    run.heartbeat_at = now()
    return {"exitcode": None, "limits": {}}

"""goemo predict for many files: parts in a folder."""

from pathlib import Path
from typing import Any

from goemo_cli.commands._console import Console
from goemo_cli.commands._predict_options import Bulk, Decision, Input, Output
from goemo_cli.commands._progress import Screen
from goemo_cli.core.layout import Layout


def predict_many(
    texts: Input,
    output: Output,
    bulk: Bulk,
    decision: Decision,
    checkpoint: str,
    *,
    root: Path,
    is_logged: bool,
    quiet: bool,
) -> None:
    """Predict all parts, one part, or check the parts."""
    folder = bulk.check(texts, output, is_logged=is_logged)
    out = Console(as_json=output.as_json, quiet=quiet)
    from goemo_cli.services.predicting.bulk.finalizing import finalize
    from goemo_cli.services.predicting.bulk.job import predict_in_bulk, predict_shard
    from goemo_cli.services.predicting.bulk.plans import BulkRequest
    from goemo_cli.services.runs.references import open_predicting

    with Screen(out) as screen:
        if bulk.finalize:
            return _result(out, folder, finalize(folder, screen))
        format: Any = output.format or "parquet"
        reading = {
            "format": texts.data_format,
            "encoding": texts.encoding,
            "text_column": texts.text_column,
        }
        request = BulkRequest(texts.input or "", folder, format, output.formula_safe, bulk.shards, reading)
        opened = open_predicting(checkpoint, Layout(root), screen)
        given: Any = {"root": root, "options": vars(decision), "on_event": screen}
        if bulk.shard is None:
            given |= {"workers": bulk.workers, "executor": bulk.executor}
            return _result(out, folder, predict_in_bulk(request, opened, **given))
        part, was_complete = predict_shard(request, opened, bulk.shard, **given)
    message = "The part was complete already" if was_complete else "Wrote a part"
    out.result(message, path=folder / part.name, shard=part.shard, rows=part.rows, run=part.run)
    return None


def _result(out: Console, folder: Path, manifest: Any) -> None:
    facts = {"run": manifest.run}
    if out.as_json:
        facts |= {**manifest.decision, **manifest.statistics.facts()}
    out.result(
        "Wrote predictions; each row is there once",
        path=folder,
        format=manifest.format,
        parts=manifest.shards,
        rows=manifest.rows,
        **facts,
    )

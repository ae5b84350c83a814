"""goemo lineage."""

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import root_option

_SHORT = 12


def lineage(run: opt.RunArg, *, common: opt.Common) -> None:
    """Show the origin of a run and the files made from it.

    Data, base model, checkpoint, predictions, figures. Files that no longer fit their sources are marked.

    Examples:
        goemo lineage @best
    """
    from goemo_cli.services.runs.lineage import trace_lineage
    from goemo_cli.services.runs.references import open_run

    out, layout = common.console(), common.layout
    found = trace_lineage(open_run(run, layout, Screen(out)), layout=layout)
    if common.as_json:
        keys = ("id", "kind", "name", "sha256", "state", "reasons", "sources")
        nodes = [{key: getattr(node, key) for key in keys} for node in found.nodes]
        out.result("", run=str(found.run), nodes=nodes, faulty=[node.id for node in found.faulty])
        return
    for depth, node in found.tree():
        names = [one.name for one in found.nodes if one.kind == "parent run" and one.id in node.sources]
        made = f"  from {', '.join(names)}" if names and node.kind == "checkpoint" else ""
        short = f"  {node.sha256[:_SHORT]}" if node.sha256 else ""
        state = f"  {node.state}: {'; '.join(node.reasons)}" if node in found.faulty else ""
        out.text(f"{'   ' * depth}{node.kind}  {node.name}{short}{made}{state}")
    if found.faulty:
        where = root_option(common.root)
        out.note(f"{len(found.faulty)} of {len(found.nodes)} no longer fit what they were made from.")
        out.hint(f"goemo figures --run {found.run}{where}", f"goemo validate{where}")

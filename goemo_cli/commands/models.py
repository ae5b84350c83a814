"""goemo models."""

from dataclasses import asdict

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console


def models(as_json: opt.JsonOpt = False) -> None:
    """List the models that goemo knows by name.

    Examples:
        goemo models
    """
    from goemo_cli.core.catalogue import catalogue

    out = Console(as_json=as_json)
    entries = catalogue()
    if as_json:
        out.result("", **{name: asdict(entry) for name, entry in entries.items()})
        return
    out.table(
        "Models",
        ["name", "size", "weights"],
        [[entry.name, entry.parameters, entry.hub_id or "made here"] for entry in entries.values()],
    )
    out.hint(
        "goemo train --model minilm", "goemo train --model ORG/NAME   (any encoder of the Hub, or a folder)"
    )

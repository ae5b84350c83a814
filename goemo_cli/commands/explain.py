"""goemo explain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console, plain
from goemo_cli.commands._progress import Screen
from goemo_cli.core.schema import ExplainMethod

if TYPE_CHECKING:
    from goemo_cli.services.evaluation.explain import Explanation, LabelExplanation

TextArg = Annotated[str, typer.Argument(help="The text to explain.", metavar="TEXT")]
LabelsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        "-l",
        help="Explain this label; may be given several times. [default: the predicted ones]",
        metavar="NAME",
    ),
]
MethodOpt = Annotated[
    ExplainMethod | None,
    opt.choice(
        ExplainMethod,
        "--method",
        help="For transformers, tfidf, or any model.",
        default="the first that suits the model",
    ),
]
TopOpt = Annotated[
    int, typer.Option("--top", min=1, help="Number of words with a number, the strongest ones.", metavar="N")
]
HtmlOpt = Annotated[
    Path | None,
    typer.Option(
        "--html", help="Also write a page with the coloured text.", metavar="FILE", callback=opt.output_file
    ),
]


def explain(
    text: TextArg,
    checkpoint: opt.CheckpointOpt = "@best",
    label: LabelsOpt = None,
    method: MethodOpt = None,
    top: TopOpt = 8,
    html: HtmlOpt = None,
    device: opt.DeviceOpt = "auto",
    *,
    common: opt.Common,
) -> None:
    """Show which words changed the score of a label.

    By default in the best run (@best). Numbers are log-odds: what a word adds to the label, or takes from it.
    Transformers need the extra `explain`.

    Examples:
        goemo explain "thank you so much" --label gratitude
    """
    from goemo_cli.services.runs.references import open_model

    out = common.console(output=html)
    opened = open_model(checkpoint, common.layout, Screen(out))  # a wrong name fails here, before torch loads
    from goemo_cli.services.evaluation.explain import explain as explain_text

    with Screen(out) as screen:
        found = explain_text(
            text, checkpoint=opened, labels=label or (), method=method, device=device, on_event=screen
        )
    _show(out, found, top, html)


def _show(out: Console, found: "Explanation", top: int, html: Path | None) -> None:
    if html:
        from goemo_cli.services.evaluation.explain import write_explanation

        write_explanation(html, found, top=top)
    if out.as_json:
        out.result("Explained", **found.document(top))
        return
    for one in found.labels:
        out.text(sentence(one))
        out.text(_coloured(found, one, top))
    page: dict[str, Any] = {"page": html} if html else {}
    out.result(f"Explained by {found.run}", method=found.method, thresholds=found.rule, **page)


def sentence(one: "LabelExplanation") -> str:
    """How probable a label is, and what its log-odds are made of."""
    if one.threshold is None:
        decided, unit = "most probable" if one.is_predicted else "not the most probable", "logit"
    else:
        unit = "log-odds"
        decided = f"{'≥' if one.is_predicted else '<'} {one.threshold:.3f}"
    said = f"{one.label} {one.probability:.3f} {decided}: {unit} {one.logit:+.2f}"
    if one.baseline is None or one.delta is None:
        return said
    moved = sum(word.amount for word in one.words)
    return f"{said} = {one.baseline:+.2f} without words {moved:+.2f} by them (off by {one.delta:.1g})"


def _coloured(found: "Explanation", one: "LabelExplanation", top: int) -> Text:
    """The text with its words in green and red, the strongest with their numbers."""
    numbered, most = one.strongest(top), max(abs(word.amount) for word in one.words)
    line, at = Text("  "), 0
    for word in one.words:
        line.append(plain(found.text[at : word.start]))
        colour = "green" if word.amount > 0 else "red"
        is_strong = most > 0 and abs(word.amount) >= most / 4
        line.append(plain(word.text), style=f"bold {colour}" if is_strong else colour)
        if word in numbered:
            line.append(f"({word.amount:+.2f})", style="dim")
        at = word.end
    line.append(plain(found.text[at:]))
    return line

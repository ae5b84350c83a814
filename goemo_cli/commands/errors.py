"""goemo errors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._tables import one_line
from goemo_cli.core.hints import command_line
from goemo_cli.services.data.result_tables import counted

if TYPE_CHECKING:
    from goemo_cli.services.evaluation.error_tables import LabelBalance
    from goemo_cli.services.evaluation.errors import CommentView, ErrorAnalysis

_LONGEST = 240
"""Characters of a comment on the screen; --json has them all."""
_COMMENT_COLUMNS = ("comment", "gold", "predicted", "row")
_CONFUSION_COLUMNS = (
    "missed → predicted instead", "rows", "by chance", "lift", "95 % interval", "lift in wrong rows", "p",
)  # fmt: skip

EmotionsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--emotion",
        "-e",
        help="Look at this emotion; may be given several times. [default: all]",
        metavar="NAME",
    ),
]
TopOpt = Annotated[int, typer.Option("--top", min=1, help="Number of rows and pairs per list.", metavar="N")]


def errors(
    run: opt.RunOrFileArg,
    split: opt.SplitOpt = None,
    emotion: EmotionsOpt = None,
    top: TopOpt = 5,
    *,
    common: opt.Common,
) -> None:
    """Show what a run gets wrong.

    Its worst comments, labels that are confused, predicted too often or too rarely, and gold labels that may be
    wrong; from its predictions alone.

    Examples:
        goemo errors @latest --emotion grief
    """
    from goemo_cli.services.evaluation.errors import analyse_errors

    out = common.console()
    with Screen(out) as screen:
        found = analyse_errors(
            run, layout=common.layout, split=split, emotions=emotion or (), top=top, on_event=screen
        )
    if common.as_json:
        out.result("Errors", **found.document())
        return
    _say_rows(out, found)
    _say_labels(out, found, top=top, all_labels=not emotion)
    _say_confusions(out, found)
    _say_mistakes(out, found, top=top, all_labels=not emotion)
    _say_doubtful(out, found)
    out.result(
        f"Looked at {found.outcomes.rows:,} comments",
        source=found.source,
        thresholds=found.rule,
        tables=found.written[0].parent,
    )
    if not emotion:
        out.hint(command_line("goemo errors", run, "--emotion", found.most_mistaken, root=common.root))


def _say_rows(out: Console, found: "ErrorAnalysis") -> None:
    outcomes = found.outcomes
    counts = {
        "exactly right": outcomes.exactly_right,
        "partly right": outcomes.partly_right,
        "wrong": outcomes.wrong,
        "nothing predicted": outcomes.nothing_predicted,
        "(more labels than gold)": outcomes.too_many,
        "(fewer labels than gold)": outcomes.too_few,
    }
    rows = [[name, count, f"{count / outcomes.rows:.1%}"] for name, count in counts.items()]
    out.table("Comments", ("outcome", "comments", "share"), rows)


def _say_labels(out: Console, found: "ErrorAnalysis", *, top: int, all_labels: bool) -> None:
    if not all_labels:
        for one in found.balance:
            out.text(balance_sentence(one))
        return
    off = found.out_of_balance
    for one in off[:top]:
        out.text(balance_sentence(one))
    if not off:
        out.text("Every label is predicted about as often as it is gold; chance explains the differences.")
    elif len(off) > top:
        out.text(f"{len(off) - top} more label(s) are predicted too often or too rarely.")


def balance_sentence(one: "LabelBalance") -> str:
    """How often a label is predicted against how often it is gold, in words."""
    if not one.gold:
        return f"{one.emotion} is predicted for {counted(one.predicted, 'comment')}; no comment has it as a gold label."
    chance = "" if one.is_off else "; chance may explain that"
    if not one.predicted:
        return f"{one.emotion} is never predicted; it is gold on {counted(one.gold, 'comment')}{chance}."
    low, high = one.ratio_ci_low, one.ratio_ci_high
    interval = f"{low:.2f}–{'?' if high is None else format(high, '.2f')}"
    return (
        f"{one.emotion} is predicted {one.ratio:.2f} times as often as it is gold "
        f"({interval}; {one.predicted:,} against {one.gold:,}){chance}."
    )


def _say_confusions(out: Console, found: "ErrorAnalysis") -> None:
    if not found.confusions:
        out.text("No pair of labels is confused more often than chance and clustered mistakes explain.")
        return
    rows = [
        [
            f"{one.gold} → {one.predicted}",
            one.count,
            f"{one.expected:.1f}",
            f"{one.lift:.1f}",
            f"{one.lift_ci_low:.1f}–{one.lift_ci_high:.1f}",
            f"{one.lift_in_wrong_rows:.1f}",
            f"{one.p_holm_in_wrong_rows:.1g}",
        ]
        for one in found.confusions
    ]
    out.table(f"Confused labels ({_some(len(rows), found.n_confusions)})", _CONFUSION_COLUMNS, rows)


def _say_mistakes(out: Console, found: "ErrorAnalysis", *, top: int, all_labels: bool) -> None:
    if all_labels:
        _comment_table(out, "Gold labels missed with the lowest probability", found.worst_missed(top))
        _comment_table(
            out, "Labels falsely predicted with the highest probability", found.worst_false_alarms(top)
        )
        return
    for one in found.mistakes:
        for what, n, comments in (
            ("missed, lowest probability first", one.n_missed, one.missed),
            ("falsely predicted, highest probability first", one.n_false_alarms, one.false_alarms),
        ):
            _comment_table(out, f"{one.emotion} {what} ({_some(len(comments), n)})", comments)


def _say_doubtful(out: Console, found: "ErrorAnalysis") -> None:
    title = f"Gold labels (?) that may be wrong ({_some(len(found.doubtful), found.n_doubtful)}), highest loss first"
    rows = [_comment_row(one.comment, one.doubted) for one in found.doubtful]
    if rows:
        out.table(title, _COMMENT_COLUMNS, rows)


def _comment_table(out: Console, title: str, comments: "Sequence[CommentView]") -> None:
    if comments:
        out.table(title, _COMMENT_COLUMNS, [_comment_row(one) for one in comments])


def _comment_row(one: "CommentView", doubted: Sequence[str] = ()) -> list[object]:
    return [one_line(one.text, _LONGEST), _labels(one.gold, doubted), _labels(one.predicted), str(one.row)]


def _labels(probabilities: Mapping[str, float], doubted: Sequence[str] = ()) -> str:
    lines = [
        f"{label} {probability:.3g}{' ?' if label in doubted else ''}"
        for label, probability in probabilities.items()
    ]
    return "\n".join(lines) or "–"


def _some(shown: int, count: int) -> str:
    return f"{shown} of {count:,}"

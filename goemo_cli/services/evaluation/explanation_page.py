"""An explanation as an HTML page: the text once per label, its words coloured by what they add."""

from html import escape
from pathlib import Path

from goemo_cli.core.files import write_text
from goemo_cli.services.evaluation.explain import Explanation, LabelExplanation

# Blue speaks for a label, orange against it: apart for colour-blind eyes too.
_FOR, _AGAINST = "31,119,180", "230,97,1"
_STYLE = """body{font:16px/2 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{font-size:1.1rem;margin:2rem 0 0}p{margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
mark{color:inherit;border-radius:.2rem;padding:.1rem}sub{color:#555;font-size:.7rem}footer{color:#555;margin-top:2rem}"""


def write_explanation(path: Path, explanation: Explanation, *, top: int) -> None:
    """Write the page: one file, no scripts, nothing loaded from elsewhere.

    Args:
        path: where to.
        explanation: of one text.
        top: words per label that get a number, the strongest ones.
    """
    sections = "\n".join(_section(explanation.text, one, top) for one in explanation.labels)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(explanation.run)}</title>\n'
        f"<style>{_STYLE}</style>\n<body><h1>Which words moved which label</h1>\n{sections}\n"
        f"<footer>{escape(explanation.run)}, {explanation.method}. Numbers are log-odds: blue words speak for the "
        "label, orange ones against it.</footer></body></html>\n",
    )


def _section(text: str, one: LabelExplanation, top: int) -> str:
    numbered, most = one.strongest(top), max(abs(word.amount) for word in one.words)
    parts, at = [], 0
    for word in one.words:
        colour, depth = (_FOR if word.amount > 0 else _AGAINST), abs(word.amount) / most if most else 0
        number = f"<sub>{word.amount:+.2f}</sub>" if word in numbered else ""
        parts.append(escape(text[at : word.start]))
        parts.append(
            f'<mark style="background:rgba({colour},{depth * 0.6:.2f})" title="{word.amount:+.4f}">'
            f"{escape(word.text)}</mark>{number}"
        )
        at = word.end
    is_predicted = "predicted" if one.is_predicted else "not predicted"
    return (
        f"<h2>{escape(one.label)}: {one.probability:.3f}, {is_predicted} (threshold {one.threshold:.3f})</h2>\n"
        f"<p>{''.join(parts)}{escape(text[at:])}</p>"
    )

"""The report as one HTML page: script, style and data are in it, and a policy that lets nothing else in."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from goemo_cli import __version__
from goemo_cli.services.evaluation.compare import p_text
from goemo_cli.services.figures.label_grid import LEAST
from goemo_cli.services.report import findings
from goemo_cli.services.report.content import Report
from goemo_cli.services.report.page_data import page_data
from goemo_cli.services.report.parts import Missing, visible
from goemo_cli.services.report.sources import sources_comment
from goemo_cli.services.report.sweeps import MOST_TRIALS

SCRIPTS = (
    "scores.js", "charts.js", "figures.js", "sweeps.js", "drawing.js", "explorer.js", "comments.js", "report.js",
)  # fmt: skip
"""One after the other they are one script."""
LIBRARY = "echarts.min.js"
_STYLE = "report.css"


def page(report: Report) -> str:
    """The whole page."""
    library, script, style = resource(LIBRARY), "\n".join(map(resource, SCRIPTS)), resource(_STYLE)
    return (
        _environment()
        .from_string(resource("report.html.j2"))
        .render(
            report=report,
            findings=findings,
            most_trials=MOST_TRIALS,
            least=LEAST,
            version=__version__,
            policy=policy(scripts=(library, script), styles=(style,)),
            sources=Markup(sources_comment(report.sources)),
            library=Markup(library),
            script=Markup(script),
            style=Markup(style),
            data=Markup(page_data(report)),
        )
    )


def policy(*, scripts: tuple[str, ...], styles: tuple[str, ...]) -> str:
    """A Content-Security-Policy that lets these inlined scripts and styles in, and nothing else at all."""

    def hashes(texts: tuple[str, ...]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()) for text in texts)
        return " ".join(f"'sha256-{digest.decode('ascii')}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def resource(name: str) -> str:
    """A file of the page, with line feeds as browsers hash them."""
    text = (files("goemo_cli.services.report") / "web" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").rstrip("\n")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    environment.filters.update(
        number=number, signed=signed, p_text=p_text, grouped=_grouped, short=_short, compact=compact
    )
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash if it is undefined, and a real minus sign."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "\u2212")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def compact(value: float | str | None) -> str:
    """A setting or an objective: whole numbers whole, others with four digits, texts as they are."""
    if not isinstance(value, float):
        return value or "–"
    is_whole = value.is_integer() and abs(value) < 1e15
    return (f"{value:.0f}" if is_whole else f"{value:.4g}").replace("-", "\u2212")


def _grouped(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "–"


def _shown(value: Any) -> Any:
    """Everything that a template prints passes here: texts are made visible, and what is None is a dash."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return visible(value)
    return "–" if value is None else value

"""`goemo figures`: pictures of runs, one module per family of figures; `registry` says how to add a figure."""

from goemo_cli.services.figures.draw import FiguresResult, draw_figures
from goemo_cli.services.figures.registry import figure_of, figures
from goemo_cli.services.figures.sidecar import CheckResult, check_figures

__all__ = ["CheckResult", "FiguresResult", "check_figures", "draw_figures", "figure_of", "figures"]

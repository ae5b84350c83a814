"""`goemo figures`: runs in pictures, one module per figure; `drawing` lists them, `description` says how to add one."""

from goemo_cli.services.figures.checking import CheckResult, check_figures
from goemo_cli.services.figures.draw import FIGURES, FiguresResult, draw_figures, figure_of

__all__ = ["FIGURES", "CheckResult", "FiguresResult", "check_figures", "draw_figures", "figure_of"]

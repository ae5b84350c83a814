"""`goemo figures`: a run in pictures, one module per figure; `drawing` lists them."""

from goemo_cli.services.figures.drawing import FIGURES, FiguresResult, draw_figures, figure_of

__all__ = ["FIGURES", "FiguresResult", "draw_figures", "figure_of"]

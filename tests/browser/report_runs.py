"""Two trained runs and a sweep on texts and labels that would like to be markup, script or terminal commands."""

import json
from collections.abc import Sequence
from pathlib import Path

from goemo_cli.core.files import write_text
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.data.result_tables import write_table
from goemo_cli.services.training.train import train

LABELS = ("</script><script>window.hacked=1</script>", "a|b & \u202ec", "joy", "zeal")
HOSTILE = (
    "<script>window.hacked=1</script>",
    '<img src="https://example.org/x.png" onerror="window.hacked=1">',
    "[/] [bold]rich[/bold] \x1b[31mred\x1b[0m \x07 bell",
    "\u202eright to left override and \u2066isolate\u2069",
    "line\u2028separator --> <!-- ]]> </script> &amp; 'quotes' \"double\"",
    "\u05d0\u05d1\u05d2 hebrew, \u0639\u0631\u0628\u064a arabic, \U0001f600 emoji",
    "long " * 1000,
)


SWEEP = "<img src=x onerror=window.hacked=1>"
SWEEP_VALUES = (0.25, None, 0.5, 0.125)
"""val/f1_macro of trials 0 to 3; the second failed."""


def hostile_runs(folder: Path) -> Layout:
    """Below `folder`: the data, and a root with a sweep and two tfidf runs, of which the second saw fewer comments and leaves none unlabelled."""
    data = folder / "data"
    data.mkdir(parents=True)
    for split, rows in (("train", 120), ("val", 40), ("test", 60)):
        lines = [json.dumps({"text": text, "labels": labels}) for text, labels in _rows(rows, split)]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    layout = Layout(folder / "root")
    for limit in (None, 70):
        settings = {
            "model": {"name": "tfidf"},
            "data": {"name": str(data), "max_train_samples": limit},
            "thresholds": {"never_empty": limit is not None},
        }
        train(TrainConfig.from_layers(("test", settings)), layout=layout)
    add_sweep(layout, SWEEP, SWEEP_VALUES, reason=HOSTILE[0])
    return layout


def add_sweep(layout: Layout, name: str, values: Sequence[float | None], *, reason: str = "it broke") -> Path:
    """The folder of a random sweep of dropout whose trials had these values of val/f1_macro; None: failed."""
    content = {
        "method": "random",
        "metric": {"name": "val/f1_macro", "goal": "maximize"},
        "parameters": {"model.dropout": {"min": 0.0, "max": 0.5}},
    }
    rows = [
        {"trial": at, "state": "failed" if value is None else "finished", "val/f1_macro": value}
        | {"model.dropout": at / 10, "run": None if value is None else f"tfidf-20260101-00000{at}"}
        | {"seconds": None if value is None else 1.5, "duplicate_of": None}
        | {"reason": reason if value is None else None}
        for at, value in enumerate(values)
    ]
    folder = layout.sweeps / name
    write_text(folder / "sweep.yaml", dump_yaml(content))
    write_table(folder / "trials.csv", list(rows[0]), rows)
    write_text(folder / "best.yaml", f"# {reason}\nmodel:\n  dropout: 0.2\n")
    return folder


def _rows(count: int, split: str) -> list[tuple[str, list[str]]]:
    rows = []
    for at in range(count):
        hostile = HOSTILE[at % len(HOSTILE)]
        labels = [LABELS[at % 4]] if at % 3 else [LABELS[at % 4], LABELS[(at + 1) % 4]]
        words = "w" + " w".join(str(LABELS.index(label)) for label in labels)
        # The first comments of each split are the same in all: texts that leak.
        rows.append(
            (f"{hostile} {words} {'shared' if at < 3 else split} {at}", [] if at == 5 else sorted(labels))
        )
    return rows

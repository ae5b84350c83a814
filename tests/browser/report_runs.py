"""Two trained runs on texts and labels that would like to be markup, script or terminal commands."""

import json
from pathlib import Path

from goemo_cli.core.config import TrainConfig
from goemo_cli.core.layout import Layout
from goemo_cli.services.training import train

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


def hostile_runs(folder: Path) -> Layout:
    """Below `folder`: the data, and a root with two tfidf runs on it, of which the second saw fewer comments and leaves none unlabelled."""
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
    return layout


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

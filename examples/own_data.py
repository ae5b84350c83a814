"""From your CSV to a report, with the library: python examples/own_data.py [FOLDER] [MODEL].

The program writes its data (Spanish restaurant reviews with five labels, made from templates), trains on it, fits
thresholds for a minimum precision, draws figures, predicts and explains new texts, and writes a report. All files are
written to FOLDER. To use your data, change `data`, TEXT and LABELS. MODEL is a name that `goemo models` lists; the default,
tfidf, needs seconds.
"""
# ruff: noqa: T201

import csv
import random
import sys
from pathlib import Path

import goemo_cli
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.services.evaluation.explain import explain
from goemo_cli.services.figures import draw_figures
from goemo_cli.services.report.create import create_report

TEXT, LABELS = "reseña", "emociones"
NEW_TEXTS = ("qué rico el pescado", "una hora para la cuenta, pésimo", "mañana vuelvo")
PARTS = {
    "alegría": ("me encantó {}", "qué rico estaba {}", "volveré por {}"),
    "asco": ("{} olía mal", "había un pelo en {}", "{} daba asco"),
    "enfado": ("una hora esperando {}", "nos cobraron dos veces {}", "pésimo trato con {}"),
    "sorpresa": ("no esperaba tanto de {}", "jamás había visto {} así", "vaya sorpresa con {}"),
    "tristeza": ("qué pena lo de {}", "echo de menos {} de antes", "da tristeza ver {} tan vacío"),
}
THINGS = (
    "la sopa",
    "el postre",
    "la terraza",
    "el camarero",
    "la paella",
    "el café",
    "la cuenta",
    "el pescado",
)


def write_reviews(path: Path, rows: int, seed: int = 0) -> None:
    """Write different reviews with one or two emotions. One in twenty labels is wrong, as in real data."""
    rng, seen = random.Random(seed), set[str]()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([TEXT, LABELS])
        while len(seen) < rows:
            emotions = rng.sample(sorted(PARTS), k=rng.choice([1, 2, 2]))
            text = ", ".join(rng.choice(PARTS[emotion]).format(rng.choice(THINGS)) for emotion in emotions)
            text += rng.choice(["", ".", "!", " :)"])
            labels = {rng.choice(sorted(PARTS)) if rng.random() < 0.05 else emotion for emotion in emotions}
            if text not in seen:
                writer.writerow([text, ",".join(sorted(labels))])
                seen.add(text)


def say(event: Event) -> None:
    """Print the messages for people among the events of a service."""
    if isinstance(event, (Info, Warning)):
        print(f"  {event.message}")


def main(folder: Path, model: str) -> None:
    """Do the work of `goemo train`, `tune`, `figures`, `predict`, `explain` and `report`."""
    folder.mkdir(parents=True, exist_ok=True)
    data, layout = folder / "reviews.csv", Layout(folder)
    write_reviews(data, 1500)

    run = goemo_cli.train(data, model=model, text_column=TEXT, label_column=LABELS, root=folder, on_event=say)
    print(f"{run} has learnt {', '.join(run.labels)}")

    run = goemo_cli.tune(run, objective="precision_floor", floor=0.9)
    scores = run.checkpoint.metrics.test.fitted
    assert scores.f1_macro_ci is not None  # it is null on very large test splits only
    low, high = scores.f1_macro_ci
    print(f"macro-F1 {scores.f1_macro:.3f} ({low:.3f} to {high:.3f}) on test, thresholds from val:")
    print(f"precision {scores.precision_macro:.3f}, recall {scores.recall_macro:.3f}")

    figures = draw_figures(layout, runs=[run.name])
    print(f"{len(figures.drawn)} figures in {layout.figures}")

    predictor = run.predictor()
    for text in NEW_TEXTS:
        labels = predictor.predict_one(text).labels
        label = explain(text, checkpoint=run.checkpoint).labels[0]  # the most probable one
        words = ", ".join(f"{word.text} {word.amount:+.1f}" for word in label.strongest(2))
        print(f"{text!r}: {', '.join(labels) or 'no label'}; {label.label} because of {words}")

    print("report:", create_report([run.name], layout=layout).path)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0] if arguments else "own-data"), arguments[1] if len(arguments) > 1 else "tfidf")

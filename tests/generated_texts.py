"""Labelled texts of other languages and tasks, made from templates by seed, for tests of the user's own data."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Row = tuple[str, list[str]]

GERMAN_EMOTIONS: dict[str, tuple[str, ...]] = {
    "Angst": ("ich fürchte mich vor {}", "mir ist bange wegen {}", "{} macht mir Angst"),
    "Ekel": ("{} ist widerlich", "mir wird übel von {}", "wie eklig, {}"),
    "Freude": ("ich freue mich so über {}", "{} ist einfach wunderbar", "juhu, endlich {}"),
    "Hoffnung": ("hoffentlich klappt es mit {}", "ich glaube fest an {}", "mit {} wird alles besser"),
    "Liebe": ("ich liebe {}", "{} liegt mir sehr am Herzen", "mein Herz schlägt für {}"),
    "Neugier": ("was hat es mit {} auf sich?", "erzähl mir mehr über {}", "ich wüsste gern, wie das mit {} geht"),
    "Scham": ("ich schäme mich für {}", "wie peinlich, das mit {}", "{} ist mir furchtbar peinlich"),
    "Trauer": ("ich weine wegen {}", "{} macht mich traurig", "ohne {} ist alles leer"),
    "Wut": ("{} regt mich auf", "ich bin so wütend über {}", "{} ist eine Frechheit"),
    "Überraschung": ("damit hätte ich nie gerechnet: {}", "was, schon wieder {}?!", "{} kam völlig unerwartet"),
    "neutral": ("{} steht im Kalender", "heute geht es um {}", "ich habe von {} gehört"),
}  # fmt: skip
"""Eleven labels, and sentences that speak of each."""

_THINGS = (
    "das neue Büro", "den Zug nach Köln", "unsere Nachbarn", "die Prüfung", "das Konzert", "den langen Winter",
    "meine Schwester", "die alte Schule", "den Urlaub", "das Abendessen", "die Nachrichten", "den Hund",
    "das Spiel gestern", "die Rechnung", "den Umzug", "das Wetter", "die Hochzeit", "den Chef", "das Buch", "die Reise",
)  # fmt: skip
_OPENINGS = ("", "", "", "Also, ", "Ehrlich gesagt: ", "Ach ja, ", "Tja, ", "Du, ", "Seit Montag denke ich: ")
_ENDINGS = ("", "", ".", "!", " ...", " :)", ", oder?", ", wirklich.", " Mehr sage ich nicht.", " 🤷")

TICKET_TOPICS: dict[str, tuple[str, ...]] = {
    "billing": ("I was charged twice for {}", "the invoice for {} is wrong", "please refund {}"),
    "delivery": ("{} has not arrived yet", "when will you ship {}", "the courier lost {}"),
    "login": ("I cannot sign in to see {}", "my password for {} is refused", "the reset mail for {} never came"),
    "praise": ("{} works wonderfully, thanks", "very happy with {}", "great service with {}"),
    "question": ("does {} come in blue", "which size of {} fits me", "can I combine {} with a voucher"),
}  # fmt: skip
"""Five classes, one for each text."""

_GOODS = ("order {}", "the coat {}", "parcel {}", "my account {}", "the lamp {}", "subscription {}")


def german_emotions(n_rows: int, *, seed: int = 0, noise: float = 0.05) -> list[Row]:
    """German sentences with none to two of eleven emotions; a share of the labels is wrong on purpose."""
    rng = np.random.default_rng(seed)
    names = list(GERMAN_EMOTIONS)
    shares = np.geomspace(6, 1, len(names))
    rows = []
    for _ in range(n_rows):
        chosen = rng.choice(names, size=1 + int(rng.random() < 0.2), replace=False, p=shares / shares.sum())
        parts = [_pick(rng, GERMAN_EMOTIONS[name]).format(_pick(rng, _THINGS)) for name in chosen]
        text = _pick(rng, _OPENINGS) + " und ".join(parts) + _pick(rng, _ENDINGS)
        labels = {_pick(rng, names) if rng.random() < noise else str(name) for name in chosen}
        rows.append((text, sorted(labels) if rng.random() > 0.03 else []))
    return rows


def support_tickets(n_rows: int, *, seed: int = 0, noise: float = 0.03) -> list[Row]:
    """English tickets, each of one of five classes; a share of them is filed wrongly."""
    rng = np.random.default_rng(seed)
    names = list(TICKET_TOPICS)
    rows = []
    for _ in range(n_rows):
        topic = _pick(rng, names)
        goods = _pick(rng, _GOODS).format(int(rng.integers(100, 10_000)))
        text = _pick(rng, TICKET_TOPICS[topic]).format(goods) + _pick(rng, ("", ".", "!", " please help"))
        rows.append((text, [_pick(rng, names) if rng.random() < noise else topic]))
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """A CSV with a column of texts and one of label names."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "labels"])
        writer.writerows([text, ",".join(labels)] for text, labels in rows)


def _pick(rng: np.random.Generator, among: Sequence[str]) -> str:
    return among[int(rng.integers(len(among)))]

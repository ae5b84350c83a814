"""What a model is, what it is for and not for, what it was trained on, and what is known to be wrong with that."""

from goemo_cli.core.labels import SPLITS
from goemo_cli.services.model_card.facts import PAPER, Facts
from goemo_cli.services.report.markdown_text import plain, score, table

_RARE = ("grief", "relief", "pride")
"""Labels of GoEmotions with the fewest comments."""


def introduction(facts: Facts) -> str:
    """What it is, in two sentences."""
    n_labels = len(facts.thresholds.labels)
    model = {
        "tfidf": "Logistic regressions over TF-IDF of words and pairs of words",
        "ensemble": "The mean of several runs' probabilities",
        "tiny": "A tiny transformer for trying things out",
    }.get(facts.kind, f"A fine-tuned {plain(facts.base_model or 'transformer')}")
    text = (
        f"{model}: a multi-label classifier of texts over {n_labels} labels, trained by "
        f"goemo on {plain(facts.data_name)}. Macro-F1 on test "
        f"{score(facts.metrics['test'][facts.rule], 'f1_macro')} with {facts.rule} thresholds."
    )
    if facts.is_sample:
        text += "\n\n**Trained on goemo's small embedded sample: a demonstration, not a model to rely on.**"
    return text


def intended_use(facts: Facts) -> str:
    """For what, and for what not."""
    texts = (
        "short English comments such as those on Reddit"
        if facts.is_goemotions
        else "texts like those it was trained on"
    )
    lines = [
        f"- For: marking which of its labels readers would see in {texts}; search, research, and counts over many texts.",
        "- Not for: decisions about a single person, such as in hiring, insurance, health, policing or moderation without "
        "a human look. A label is what annotators read into a text, not what its author felt.",
    ]
    if facts.is_goemotions:
        lines.append(
            "- Not for: other languages, or texts far from Reddit's, without scoring it on such texts first."
        )
    if facts.is_transformer:
        lines.append(f"- Texts are cut at {facts.config.model.max_length} tokens: later tokens are not read.")
    return "\n".join(lines)


def data(facts: Facts) -> str:
    """Sizes and content hashes of the splits, and where they come from."""
    recorded, limit = facts.data, facts.config.data.max_train_samples
    text = table(
        ["split", "comments", "SHA-256 of texts and labels"],
        [
            [split, f"{recorded['sizes'][split]:,}", f"`{recorded['split_sha256'][split]}`"]
            for split in SPLITS
        ],
    )
    if facts.is_goemotions:
        text += (
            f"\n\n[GoEmotions]({PAPER}) (Demszky et al., 2020), Apache-2.0: Reddit comments labelled by three to five "
            "annotators each, with the published splits."
        )
    elif facts.is_sample:
        text += "\n\nSentences made for goemo's tests and demonstrations."
    if limit is not None:
        text += f" Train was cut to {limit:,} comments."
    if taxonomy := recorded.get("taxonomy"):
        text += f" Labels are rolled up to the paper's {plain(str(taxonomy))} taxonomy."
    return text


def limits(facts: Facts) -> str:
    """What the numbers cannot be trusted for; of GoEmotions, what its authors say of it."""
    lines = [*_of_goemotions(facts)] if facts.is_goemotions else []
    wide = [row for row in facts.metrics["per_class"] if row["f1_ci_high"] - row["f1_ci_low"] > 0.2]
    if wide:
        named = "; ".join(
            f"{plain(row['emotion'])} {row['f1_ci_low']:.3f} to {row['f1_ci_high']:.3f} ({row['support']})"
            for row in wide
        )
        lines.append(
            f"- F1 of these labels is known only roughly, since test holds few of them (95 % interval, comments): {named}."
        )
    else:
        lines.append("- No label's 95 % interval of F1 is wider than 0.2.")
    if missing := [plain(row["emotion"]) for row in facts.metrics["per_class"] if not row["support"]]:
        lines.append(
            f"- No comment of test has these labels, so that they count as 0 in macro averages: {', '.join(missing)}."
        )
    if facts.kind != "ensemble":
        lines.append("- One seed: another seed gives other scores.")
    lines.append(
        "- Thresholds and scores hold for texts drawn as these were. Where labels are rarer or commoner, fit the thresholds "
        "again on labelled texts of that kind."
    )
    return "\n".join(lines)


def _of_goemotions(facts: Facts) -> list[str]:
    support = {row["emotion"]: row["support"] for row in facts.metrics["per_class"]}
    rare = ", ".join(f"{label} ({support[label]})" for label in _RARE if label in support)
    lines = [
        "- English comments of one platform, whose users lean young and male; filtered by lists of offensive words, with "
        "names and religions masked. Not representative of people at large, as its authors say.",
        "- All annotators were native English speakers from India; their own biases are in the labels.",
        "- Labels are noisy: annotators often disagree, and a label is kept where two of them chose it.",
    ]
    if rare:
        lines.append(f"- Some labels are rare. Comments of test that carry them: {rare}.")
    if facts.metrics["taxonomies"]:
        lines.append(
            "- Close labels overlap, such as annoyance with anger; coarser labels are told apart better."
        )
    return lines

"""How to use a model, how it was made, how to make it again, and whom to cite."""

from collections.abc import Mapping
from typing import Any

from goemo_cli.core.checkpoint import CONFIG
from goemo_cli.services.model_card.facts import Facts
from goemo_cli.services.report.markdown_text import plain

_BIBTEX = """```bibtex
@inproceedings{demszky2020goemotions,
  author = {Demszky, Dorottya and Movshovitz-Attias, Dana and Ko, Jeongwoo and Cowen, Alan and Nemade, Gaurav and Ravi, Sujith},
  booktitle = {58th Annual Meeting of the Association for Computational Linguistics (ACL)},
  title = {{GoEmotions: A Dataset of Fine-Grained Emotions}},
  year = {2020}
}
```"""


def usage(facts: Facts) -> str:
    """Labels of new texts, with goemo and, where its folder is a transformers model, without."""
    ours = (
        "With goemo, from this folder:\n\n"
        '```\ngoemo predict "Thank you so much!" --checkpoint .\n```\n\n'
        "```python\nfrom goemo_cli import Predictor\n\n"
        'print(Predictor.load(".").predict(["Thank you so much!"]).label_names(0))\n```'
    )
    if facts.is_transformer:
        return f"{ours}\n\nWith transformers alone, the same labels:\n\n```python\n{_plain_transformers(facts)}\n```"
    if facts.kind == "ensemble":
        return f"{ours}\n\nIts members must be in the same project: they are loaded one by one."
    return ours


def making(facts: Facts) -> str:
    """What went in, on which machine, with which versions."""
    metrics, base, device = facts.metrics, facts.metrics["base_model"], facts.metrics["device"]
    lines = [
        f"- Starts from: {plain(base.get('id') or base['kind'])}"
        + (f" at revision {base['revision']}" if base.get("revision") else "")
        + (f", weights SHA-256 `{base['sha256']}`" if base.get("sha256") else ""),
        f"- Data: {plain(facts.data_name)}, SHA-256 `{facts.data['sha256']}`",
        _fitted(facts),
        f"- {metrics['training_seconds']:.0f} s on {plain(device['processor'])} ({device['type']}, {device['precision']}), "
        f"{metrics['peak_memory_bytes'] / 2**30:.2f} GiB at peak",
        f"- {', '.join(f'{name} {number}' for name, number in metrics['versions'].items())}",
        f"- Repeat it: `{repeating(metrics)}`, with every setting in `{CONFIG}`",
    ]
    return "\n".join(lines)


def citation(facts: Facts) -> str:
    """BibTeX of the data's paper; empty for other data."""
    return _BIBTEX if facts.is_goemotions else ""


def repeating(metrics: Mapping[str, Any]) -> str:
    """The command that repeats a run from its own settings."""
    n_seeds = len(metrics.get("members", ()))
    return f"goemo train --config {CONFIG}" + (f" --seeds {n_seeds}" if n_seeds else "")


def _plain_transformers(facts: Facts) -> str:
    """A program that a test runs: its labels are goemo's."""
    settings = facts.thresholds.settings
    threshold = {"per_label": 'fitted["per_label"][label]', "global": 'fitted["global"]'}.get(
        facts.rule, facts.rule.removeprefix("fixed_")
    )
    lines = [
        "import json",
        "from pathlib import Path",
        "",
        "from transformers import pipeline",
        "",
        'folder = Path(".")  # this folder',
        'fitted = json.loads((folder / "thresholds.json").read_text("utf-8"))',
        "classify = pipeline(",
        '    "text-classification", model=str(folder), top_k=None, function_to_apply="sigmoid",',
        f"    truncation=True, max_length={facts.config.model.max_length},",
        ")",
        "",
        "",
        "def labels_of(text):",
        '    scores = {one["label"]: one["score"] for one in classify([text])[0]}  # the most probable first',
        f"    chosen = [label for label, score in scores.items() if score >= {threshold}]",
    ]
    if settings.never_empty:
        lines.append("    chosen = chosen or [max(scores, key=scores.get)]")
    lines.append(f"    return chosen[:{settings.top_k}]" if settings.top_k else "    return chosen")
    return "\n".join([*lines, "", "", 'print(labels_of("Thank you so much!"))'])


def _fitted(facts: Facts) -> str:
    metrics = facts.metrics
    if facts.kind == "ensemble":
        members = ", ".join(f"{one['run']} (seed {one['seed']})" for one in metrics["members"])
        return f"- The mean of the probabilities of {members}; it has no weights"
    if facts.kind == "tfidf":
        return f"- Seed {metrics['seed']}"
    return (
        f"- Best epoch {metrics['best_epoch']} of {len(metrics['history'])}, chosen by "
        f"{facts.config.training.early_stopping.metric}; seed {metrics['seed']}"
    )

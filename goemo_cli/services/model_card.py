"""The README.md of a checkpoint: every number is read from metrics.json and thresholds.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from goemo_cli.core.checkpoint import CONFIG
from goemo_cli.core.config import TrainConfig
from goemo_cli.core.schema import RULES
from goemo_cli.core.taxonomies import PAPER_F1_MACRO
from goemo_cli.core.thresholds import Thresholds


def model_card(metrics: Mapping[str, Any], thresholds: Thresholds, config: TrainConfig) -> str:
    """The model card as Markdown."""
    return (
        "\n\n".join(
            [
                _front_matter(metrics),
                f"# {metrics['run']}",
                _introduction(metrics, thresholds),
                "## Scores on the test split\n\n" + _rules_table(metrics["test"]),
                "Thresholds were fitted on val only. Intervals are 95 % bootstrap intervals over the rows of test.",
                *_taxonomies(metrics["taxonomies"]),
                "## Each label\n\n" + _labels_table(metrics["per_class"]),
                "## Use\n\n" + _usage(metrics, thresholds),
                "## How it was made\n\n" + _making(metrics, config),
            ]
        )
        + "\n"
    )


def _front_matter(metrics: Mapping[str, Any]) -> str:
    base = metrics["base_model"].get("id")
    lines = ["---", "library_name: transformers", "pipeline_tag: text-classification"]
    lines += [f"base_model: {base}"] if base and base.count("/") == 1 else []
    return "\n".join([*lines, "tags: [emotion, multi-label, goemo]", "---"])


def _introduction(metrics: Mapping[str, Any], thresholds: Thresholds) -> str:
    data, chosen = metrics["data"], metrics["test"][metrics["threshold_rule"]]
    sizes = data["sizes"]
    text = (
        f"A multi-label classifier over {len(thresholds.labels)} labels, trained by goemo on {data['name']} "
        f"({sizes['train']:,} train, {sizes['val']:,} val, {sizes['test']:,} test comments). "
        f"Macro-F1 on test {_interval(chosen, 'f1_macro')} with {metrics['threshold_rule']} thresholds."
    )
    if data["name"] == "sample":
        text += "\n\n**Trained on goemo's small embedded sample: a demonstration, not a model to rely on.**"
    return text


def _interval(scores: Mapping[str, Any], key: str) -> str:
    low, high = scores[f"{key}_ci"]
    return f"{scores[key]:.3f} ({low:.3f} to {high:.3f})"


def _rules_table(test: Mapping[str, Any]) -> str:
    rows = [
        [
            rule,
            _interval(test[rule], "f1_macro"),
            _interval(test[rule], "f1_micro"),
            f"{test[rule]['subset_accuracy']:.3f}",
        ]
        for rule in RULES
    ]
    ranks = ", ".join(
        f"{name} {_number(test[key])}"
        for name, key in (
            ("AUC micro", "auc_micro"),
            ("AUC macro", "auc_macro"),
            ("average precision", "average_precision_macro"),
        )
    )
    return (
        _table(["threshold rule", "macro-F1", "micro-F1", "subset accuracy"], rows)
        + f"\n\nWithout thresholds: {ranks}."
    )


def _labels_table(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ["label", "F1", "95 % interval", "precision", "recall", "support", "threshold"],
        [
            [
                row["emotion"],
                f"{row['f1_score']:.3f}",
                f"{row['f1_ci_low']:.3f} to {row['f1_ci_high']:.3f}",
                f"{row['precision']:.3f}",
                f"{row['recall']:.3f}",
                str(row["support"]),
                f"{row['threshold']:.4g}",
            ]
            for row in rows
        ],
    )


def _taxonomies(taxonomies: Mapping[str, Any]) -> list[str]:
    """The same probabilities read as coarser labels, beside the paper's models trained on them."""
    if not taxonomies:
        return []
    rows = [
        [name, how, _interval(scores["per_label"], "f1_macro"), f"{PAPER_F1_MACRO[name]:.2f}"]
        for name, ways in taxonomies.items()
        for how, scores in ways.items()
    ]
    table = _table(["taxonomy", "roll-up", "macro-F1", "paper's BERT-base"], rows)
    return ["## As coarser emotions\n\n" + table]


def _usage(metrics: Mapping[str, Any], thresholds: Thresholds) -> str:
    if "members" in metrics:
        loading = "`goemo export-predictions` loads the members one by one and averages their probabilities."
        return loading + _options(thresholds)
    in_force = {"per_label": 'fitted["per_label"][r["label"]]', "global": 'fitted["global"]'}
    threshold = in_force.get(thresholds.rule, thresholds.rule.removeprefix("fixed_"))
    return (
        "A label is predicted where its probability (sigmoid of its logit) is at least its threshold in "
        f"`thresholds.json`; this run's labels follow the rule `{thresholds.rule}`.{_options(thresholds)}\n\n"
        "```python\n"
        "import json\nfrom transformers import pipeline\n\n"
        'folder = "."  # this folder\n'
        'fitted = json.load(open(f"{folder}/thresholds.json"))\n'
        'classify = pipeline("text-classification", model=folder, top_k=None)\n'
        'for answer in classify(["Thank you so much!"]):\n'
        f'    print([r["label"] for r in answer if r["score"] >= {threshold}])\n'
        "```"
    )


def _making(metrics: Mapping[str, Any], config: TrainConfig) -> str:
    base, data, device = metrics["base_model"], metrics["data"], metrics["device"]
    lines = [
        f"- Starts from: {base.get('id', base['kind'])}"
        + (f" at {base['revision']}" if base.get("revision") else ""),
        f"- Data: {data['name']}, SHA-256 {data['sha256']}",
        _fitted(metrics, config),
        f"- {metrics['training_seconds']:.0f} s on {device['processor']} ({device['type']}, {device['precision']}), "
        f"{metrics['peak_memory_bytes'] / 2**30:.2f} GiB at peak",
        f"- {', '.join(f'{name} {number}' for name, number in metrics['versions'].items())}",
        f"- Repeat it: `{repeating(metrics)}`",
    ]
    return "\n".join(lines)


def _options(thresholds: Thresholds) -> str:
    settings = thresholds.settings
    text = " A comment above no threshold gets its most probable label." if settings.never_empty else ""
    return text + (f" At most {settings.top_k} labels, the most probable ones." if settings.top_k else "")


def _fitted(metrics: Mapping[str, Any], config: TrainConfig) -> str:
    if "members" in metrics:
        members = ", ".join(f"{one['run']} (seed {one['seed']})" for one in metrics["members"])
        return f"- The mean of the probabilities of {members}; it has no weights of its own"
    return (
        f"- Best epoch {metrics['best_epoch']} of {len(metrics['history'])}, chosen by "
        f"{config.training.early_stopping.metric}; seed {metrics['seed']}"
    )


def repeating(metrics: Mapping[str, Any]) -> str:
    """The command that repeats a run from its own settings."""
    n_seeds = len(metrics.get("members", ()))
    return f"goemo train --config {CONFIG}" + (f" --seeds {n_seeds}" if n_seeds else "")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

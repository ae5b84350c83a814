"""The README.md of a checkpoint: `card.md.j2` filled with the run's own files, below metadata for the Hugging Face Hub."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from goemo_cli.core.checkpoint import CONFIG, Checkpoint
from goemo_cli.core.documents.manifest import Export
from goemo_cli.core.documents.metrics import Metrics, RuleScores, SplitScores
from goemo_cli.core.hints import command_line
from goemo_cli.core.labels import PAPER_F1_MACRO, SPLITS
from goemo_cli.core.layering import dump_yaml
from goemo_cli.core.schema import ARGMAX
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.thresholds import LabelRules
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.services.data.result_tables import decimal
from goemo_cli.services.report.text import plain

if TYPE_CHECKING:  # loaded when a card is written
    from huggingface_hub import EvalResult
    from jinja2 import Template

GOEMOTIONS_ON_HUB = "google-research-datasets/go_emotions"
PAPER = "https://arxiv.org/abs/2005.00547"
_RARE = ("grief", "relief", "pride")
"""Labels of GoEmotions with the fewest comments."""
_WIDE = 0.2
"""Width of an interval of F1 above which a label's score is called uncertain."""
_BY_RULE = (
    ("f1", "f1_macro", "macro-F1", "macro"),
    ("f1", "f1_micro", "micro-F1", "micro"),
    ("precision", "precision_macro", "macro-precision", "macro"),
    ("recall", "recall_macro", "macro-recall", "macro"),
    ("accuracy", "subset_accuracy", "subset accuracy", None),
)
"""The Hub's name of a metric, its key in metrics.json, its name for readers, and how labels are averaged."""
_RANKING = (
    ("roc_auc", "auc_micro", "AUC micro", "micro"),
    ("roc_auc", "auc_macro", "AUC macro", "macro"),
    ("average_precision", "average_precision_macro", "average precision", "macro"),
)


def model_card(metrics: Metrics, rules: LabelRules, config: TrainConfig, export: Export | None = None) -> str:
    """The model card as Markdown: of a run, or of its exported model."""
    card = Card(metrics, rules, config, export)
    return _template().render(
        card=card,
        export=export,
        metadata=dump_yaml(card.metadata()),
        splits=SPLITS,
        paper=PAPER,
        paper_f1=PAPER_F1_MACRO,
        repeat_command=repeating(metrics),
        config_file=CONFIG,
    )


def export_card(checkpoint: Checkpoint, export: Export) -> str:
    """The card of an exported model of a run; short if the run has no scores."""
    if checkpoint.is_unscored:
        return f"# {checkpoint.run}\n\nExported by goemo as {export.format}, {export.precision}. The run has no scores.\n"
    return model_card(checkpoint.metrics, checkpoint.rules, checkpoint.config, export)


def repeating(metrics: Metrics) -> str:
    """The command that repeats a run from its own settings."""
    if metrics.origin == "imported":
        return command_line("goemo import", metrics.base_model["id"], "--data", metrics.data.name)
    n_seeds = len(metrics.members)
    return command_line("goemo train --config", CONFIG) + (f" --seeds {n_seeds}" if n_seeds else "")


@dataclass(frozen=True)
class Card:
    """A run as its card describes it."""

    metrics: Metrics
    rules: LabelRules
    config: TrainConfig
    export: Export | None = None
    """If the card is that of an exported model."""

    @property
    def rule(self) -> str:
        """The threshold rule of the run's labels."""
        return self.metrics.threshold_rule

    @property
    def is_single_label(self) -> bool:
        """Whether each text has exactly one label."""
        return self.rules.is_single_label

    @property
    def problem(self) -> str:
        """multi-label or single-label."""
        return "single-label" if self.is_single_label else "multi-label"

    @property
    def kind(self) -> str:
        """transformer, static, tiny, tfidf or ensemble."""
        return "ensemble" if self.metrics.members else str(self.metrics.base_model["kind"])

    @property
    def is_transformer(self) -> bool:
        """Whether the model is a transformer; `from_pretrained` loads its folder unless it is exported."""
        return self.kind in ("transformer", "tiny")

    @property
    def reads_tokens(self) -> bool:
        """Whether it has a tokenizer, and its probabilities come from logits."""
        return self.kind not in ("tfidf", "ensemble")

    @property
    def is_changed(self) -> bool:
        """Whether the model is not the one whose scores metrics.json has."""
        return self.export is not None and self.export.precision != "fp32"

    @property
    def is_imported(self) -> bool:
        """Whether another tool trained it."""
        return self.metrics.origin == "imported"

    @property
    def base_model(self) -> str | None:
        """The Hub id of the weights that training started from; None if they are not from the Hub."""
        base = self.metrics.base_model.get("id")
        return base if base and base.count("/") == 1 and not base.startswith((".", "/", "~")) else None

    @property
    def is_sample(self) -> bool:
        """Whether it was trained on goemo's embedded sample."""
        return self.metrics.data.name == "sample"

    @property
    def is_papers_test(self) -> bool:
        """Whether it was scored on the published test split, so that the paper's scores can be compared."""
        return is_published_test(self.rules.labels, self.metrics.data.split_sha256.test)

    @property
    def is_goemotions(self) -> bool:
        """Whether its comments are those of GoEmotions: by content, or by name if labels were rolled up."""
        data = self.metrics.data
        return self.is_papers_test or (data.name == "goemotions" and bool(data.taxonomy))

    @property
    def data_name(self) -> str:
        """The name of the data for readers."""
        return "GoEmotions" if self.is_goemotions else self.metrics.data.name

    @property
    def model_words(self) -> str:
        """The kind of model, in a few words."""
        return {
            "tfidf": "Logistic regressions over TF-IDF of words and pairs of words",
            "ensemble": "The mean of several runs' probabilities",
            "static": "Static token vectors with one layer",
            "tiny": "A tiny transformer for experiments",
        }.get(
            self.kind,
            f"{'The' if self.is_imported else 'A fine-tuned'} {plain(self.base_model or 'transformer')}",
        )

    @property
    def data_words(self) -> str:
        """Where the data comes from, and how it was changed."""
        sentences = []
        if self.is_goemotions:
            sentences.append(
                f"[GoEmotions]({PAPER}) (Demszky et al., 2020), Apache-2.0: Reddit comments labelled by three to five "
                "annotators each, with the published splits."
            )
        elif self.is_sample:
            sentences.append("Sentences made for goemo's tests and demonstrations.")
        if (limit := self.config.data.max_train_samples) is not None:
            sentences.append(f"Train was cut to {limit:,} comments.")
        if excluded := self.metrics.data.excluded:
            sentences.append(f"After an audit, {excluded.rows:,} rows of train were left out.")
        if lesson := self.metrics.distillation:
            also = (
                f" and those of {lesson.unlabelled:,} texts without gold labels" if lesson.unlabelled else ""
            )
            sentences.append(
                f"The model also learned the probabilities that {lesson.teacher} gives to train{also} "
                f"(weight {lesson.weight:g}, temperature {lesson.temperature:g})."
            )
        if taxonomy := self.metrics.data.taxonomy:
            sentences.append(f"Labels are rolled up to the paper's {plain(taxonomy)} taxonomy.")
        return " ".join(sentences)

    @property
    def rule_options(self) -> str:
        """Options of the rule in brackets; empty if none is set."""
        settings = self.rules.settings
        options = []
        if settings.never_empty:
            options.append("a text with no label above its threshold gets its most probable label")
        if settings.top_k:
            options.append(f"at most {settings.top_k} labels, the most probable ones")
        return f" ({'; '.join(options)})" if options else ""

    @property
    def rare_labels(self) -> str:
        """Rare labels of GoEmotions with their number of test comments."""
        support = {row.emotion: row.support for row in self.metrics.per_class}
        return ", ".join(f"{label} ({support[label]})" for label in _RARE if label in support)

    @property
    def uncertain_labels(self) -> str:
        """Labels with a wide interval of F1; empty if there are none."""
        return "; ".join(
            f"{plain(row.emotion)} {row.f1_ci_low:.3f} to {row.f1_ci_high:.3f} ({row.support})"
            for row in self.metrics.per_class
            if row.f1_ci_low is not None and row.f1_ci_high is not None
            if row.f1_ci_high - row.f1_ci_low > _WIDE
        )

    @property
    def labels_without_comments(self) -> str:
        """Labels that no comment of test has; empty if there are none."""
        return ", ".join(plain(row.emotion) for row in self.metrics.per_class if not row.support)

    def metadata(self) -> dict[str, Any]:
        """The YAML above the card. It has no licence and, for the user's data, no language: goemo does not know them.

        Source:
            https://github.com/huggingface/hub-docs/blob/main/modelcard.md
        """
        from huggingface_hub import ModelCardData

        is_finetuned = self.base_model is not None and self.is_transformer and not self.is_imported
        data: Any = ModelCardData(  # its methods have no types
            language=["en"] if self.is_goemotions or self.is_sample else None,
            library_name=self.export.format
            if self.export
            else "transformers"
            if self.is_transformer
            else "goemo",
            pipeline_tag="text-classification",
            base_model=self.base_model if is_finetuned else None,
            base_model_relation="finetune" if is_finetuned else None,
            datasets=[GOEMOTIONS_ON_HUB] if self.is_goemotions else None,
            metrics=["f1", "roc_auc", "precision", "recall", "accuracy"],
            tags=["emotion", self.problem, "goemo", *([] if self.is_transformer else [self.kind])],
            model_name=self.metrics.run,
            eval_results=None if self.is_changed else list(self._results()),
        )
        values: dict[str, Any] = data.to_dict()
        return values

    def _results(self) -> "Iterator[EvalResult]":
        """Each score by the run's own rule, F1 by the other rules, and the scores without thresholds."""
        test = self.metrics.test
        for rule in dict.fromkeys((self.rule, *test.rules)):
            for hub_name, key, name, average in _BY_RULE:
                if rule == self.rule or hub_name == "f1":
                    args = {"threshold_rule": rule, **({"average": average} if average else {})}
                    value = test.rule(rule).value(key)
                    yield from self._result(hub_name, value, self._name(name, key, rule), args)
        for hub_name, key, name, average in _RANKING:
            yield from self._result(hub_name, test.value(key), name, {"average": average})

    def _name(self, name: str, key: str, rule: str) -> str:
        if rule == ARGMAX:
            return "accuracy" if key == "subset_accuracy" else name
        return f"{name} ({rule} thresholds)"

    def _result(
        self, hub_name: str, value: float | None, name: str, args: dict[str, str]
    ) -> "Iterator[EvalResult]":
        """One score of test; none if it is undefined."""
        from huggingface_hub import EvalResult

        data = self.metrics.data
        if value is not None:
            yield EvalResult(
                task_type="text-classification",
                task_name=f"{self.problem.capitalize()} text classification",
                dataset_type=GOEMOTIONS_ON_HUB if self.is_goemotions else self.data_name,
                dataset_name=self.data_name,
                dataset_config="simplified" if self.is_goemotions else None,
                dataset_split="test",
                # over texts and labels, since the user's data has no revision
                dataset_args={
                    "sha256": data.split_sha256.test,
                    **({"taxonomy": data.taxonomy} if data.taxonomy else {}),
                },
                metric_type=hub_name,
                metric_value=value,
                metric_name=name,
                metric_args=args,
            )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=False,  # Markdown: what others wrote is escaped by `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, score=_score, decimal=decimal)
    text = (files("goemo_cli.services.model_card") / "card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(text)


def _score(scores: RuleScores | SplitScores, key: str) -> str:
    """A score with its interval, `0.525 (0.497 to 0.547)`, or `undefined`."""
    value, low, high = scores.score(key)
    if value is None:
        return "undefined"
    if low is None or high is None:
        return decimal(value, 3)
    return f"{decimal(value, 3)} ({decimal(low, 3)} to {decimal(high, 3)})"

"""The flags of goemo train that are settings: each beats the config file, and is unset unless given."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

OverridesArg = Annotated[
    list[str] | None,
    Argument(help="Any setting by its name: training.epochs=3", metavar="[SECTION.KEY=VALUE]..."),
]
ConfigOpt = Annotated[
    Path | None, Option("--config", help="YAML file with settings.", metavar="FILE", show_default=False)
]
ModelOpt = Annotated[
    str | None,
    Option(
        "--model",
        help="Catalogue name (goemo models), Hub id or folder. [default: minilm]",
        show_default=False,
    ),
]
DataOpt = Annotated[
    str | None,
    Option(
        "--data",
        help="goemotions, sample, a file or folder, or a Hub data set. [default: GoEmotions if it is available, else the sample]",
        show_default=False,
    ),
]
TextColumnOpt = Annotated[
    str | None,
    Option("--text-column", help="Column with the texts in your data. [default: text]", show_default=False),
]
LabelColumnOpt = Annotated[
    str | None,
    Option(
        "--label-column",
        help="Column with the labels in your data. [default: labels]",
        show_default=False,
    ),
]
LabelColumnsOpt = Annotated[
    str | None,
    Option(
        "--label-columns",
        help="Instead: columns of 0 and 1, one per label, joined by commas.",
        metavar="NAME,NAME",
        show_default=False,
    ),
]
LabelSeparatorOpt = Annotated[
    str | None,
    Option(
        "--label-separator",
        help="Between the labels of one cell. [default: ,]",
        metavar="TEXT",
        show_default=False,
    ),
]
IdColumnOpt = Annotated[
    str | None,
    Option("--id-column", help="Column with row ids, kept in predictions.", show_default=False),
]
SingleLabelOpt = Annotated[
    bool | None,
    Option(
        "--single-label/--multi-label",
        help="Each text has exactly one label: softmax, and the most probable label. [default: multi-label]",
        show_default=False,
    ),
]
LabelsFileOpt = Annotated[
    Path | None,
    Option(
        "--labels-file",
        help="One label per line, in the wanted order; label numbers count from 0 in it.",
        metavar="FILE",
        show_default=False,
    ),
]
MaxTrainSamplesOpt = Annotated[
    int | None, Option("--max-train-samples", help="Maximum number of training comments.", show_default=False)
]
LrOpt = Annotated[float | None, Option("--lr", help="Peak learning rate.", show_default=False)]
BatchSizeOpt = Annotated[
    int | None, Option("--batch-size", help="Comments per optimizer step.", show_default=False)
]
EpochsOpt = Annotated[int | None, Option("--epochs", help="Passes over train.", show_default=False)]
MaxLengthOpt = Annotated[int | None, Option("--max-length", help="Tokens per comment.", show_default=False)]
LossOpt = Annotated[
    str | None, Option("--loss", help="bce, weighted_bce, focal or asymmetric.", show_default=False)
]
DropoutOpt = Annotated[
    float | None, Option("--dropout", help="Dropout everywhere in the model.", show_default=False)
]
WeightDecayOpt = Annotated[
    float | None,
    Option("--weight-decay", help="AdamW's decay of weights, not of biases and norms.", show_default=False),
]
WarmupOpt = Annotated[
    float | None,
    Option("--warmup", help="Share of the steps in which the learning rate rises.", show_default=False),
]
SeedOpt = Annotated[
    int | None, Option("--seed", help="Of shuffling, dropout and new weights.", show_default=False)
]
SeedsOpt = Annotated[
    int | None,
    Option(
        "--seeds",
        min=2,
        help="Number of consecutive seeds to train, plus their ensemble.",
        show_default=False,
    ),
]
TaxonomyOpt = Annotated[
    str | None,
    Option(
        "--taxonomy", help="ekman (7 labels) or grouped (4), instead of GoEmotions' 28.", show_default=False
    ),
]
WandbOpt = Annotated[
    bool | None,
    Option(
        "--wandb/--no-wandb", help="Mirror the run to Weights & Biases. [default: off]", show_default=False
    ),
]
WandbProjectOpt = Annotated[
    str | None, Option("--wandb-project", help="W&B project; turns W&B on.", show_default=False)
]
WandbEntityOpt = Annotated[
    str | None,
    Option("--wandb-entity", help="W&B entity (user or team); turns W&B on.", show_default=False),
]
WandbGroupOpt = Annotated[
    str | None, Option("--wandb-group", help="W&B's group of the run; turns W&B on.", show_default=False)
]
WandbBaseUrlOpt = Annotated[
    str | None,
    Option("--wandb-base-url", help="Address of the W&B server; turns W&B on.", show_default=False),
]
WandbModeOpt = Annotated[
    str | None,
    Option(
        "--wandb-mode",
        help="online; offline: keep everything for goemo sync; disabled: send nothing. Turns W&B on.",
        show_default=False,
    ),
]
WandbRequiredOpt = Annotated[
    bool | None,
    Option(
        "--wandb-required",
        help="Stop before training if W&B is unavailable, instead of warning; turns W&B on.",
        show_default=False,
    ),
]
RunNameOpt = Annotated[
    str | None,
    Option(
        "--run-name",
        help="What W&B shows as the run's name; turns W&B on. [default: the run's own]",
        show_default=False,
    ),
]
TagsOpt = Annotated[
    str | None,
    Option("--tags", help="W&B's tags of the run, joined by commas; turns W&B on.", show_default=False),
]
NotesOpt = Annotated[
    str | None, Option("--notes", help="W&B's notes of the run; turns W&B on.", show_default=False)
]
DryRunOpt = Annotated[
    bool, Option("--dry-run", help="Show what would happen, with steps, memory and time; write nothing.")
]
PrintConfigOpt = Annotated[
    bool, Option("--print-config", help="Print every setting as it would be used, and stop.")
]

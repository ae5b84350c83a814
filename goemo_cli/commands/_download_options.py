"""The flags of goemo download."""

from typing import Annotated

from typer import Option

RunIdOpt = Annotated[
    str | None,
    Option(
        "--run-id",
        help="A W&B run: ID, PROJECT/ID, ENTITY/PROJECT/ID, or the URL of its page.",
        metavar="ID",
        show_default=False,
    ),
]
BestOpt = Annotated[
    str | None,
    Option(
        "--best",
        help="Instead of an ID: the finished run of the project with the best score on val, such as val/auc.",
        metavar="METRIC",
        show_default=False,
    ),
]
ArtifactOpt = Annotated[
    str | None,
    Option(
        "--artifact",
        help="Instead of an ID: one version of a W&B artifact, such as MODEL-checkpoint-ID:v0.",
        metavar="NAME:VERSION",
        show_default=False,
    ),
]
WhatOpt = Annotated[
    str | None,
    Option(
        "--what",
        help="Only these of checkpoint, predictions, stats, figures; with commas between. [default: all there is]",
        metavar="KINDS",
        show_default=False,
    ),
]
EntityOpt = Annotated[
    str | None,
    Option(
        "--wandb-entity",
        help="W&B user or team if the ID names none. [default: WANDB_ENTITY, or yours]",
        metavar="NAME",
        show_default=False,
    ),
]
ProjectOpt = Annotated[
    str | None,
    Option(
        "--wandb-project",
        help="W&B project if the ID names none. [default: WANDB_PROJECT, or goemo]",
        metavar="NAME",
        show_default=False,
    ),
]
BaseUrlOpt = Annotated[
    str | None,
    Option(
        "--wandb-base-url",
        help="Address of the W&B server. [default: WANDB_BASE_URL, or W&B's own]",
        metavar="URL",
        show_default=False,
    ),
]
OverwriteOpt = Annotated[
    bool, Option("--overwrite", help="Replace a sound checkpoint that is here in another version.")
]

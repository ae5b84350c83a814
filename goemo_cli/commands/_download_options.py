"""The options of goemo download."""

from typing import Annotated

from typer import Option

RunIdOpt = Annotated[
    str | None,
    Option(
        "--run-id", help="A W&B run: ID, PROJECT/ID, ENTITY/PROJECT/ID, or the URL of its page.", metavar="ID"
    ),
]
BestOpt = Annotated[
    str | None,
    Option(
        "--best",
        help="Instead of an ID: the finished run of the project with the best score on val, such as val/auc.",
        metavar="METRIC",
    ),
]
ArtifactOpt = Annotated[
    str | None,
    Option(
        "--artifact",
        help="Instead of an ID: one version of a W&B artifact, such as MODEL-checkpoint-ID:v0.",
        metavar="NAME:VERSION",
    ),
]
HubOpt = Annotated[
    str | None,
    Option(
        "--hub",
        help="Instead of W&B: a repository of the Hugging Face Hub, to which goemo push uploaded a run.",
        metavar="REPO[@REVISION]",
    ),
]
WhatOpt = Annotated[
    str | None,
    Option(
        "--what",
        help="Only these of checkpoint, predictions, stats, figures, separated by commas. [default: all]",
        metavar="KINDS",
    ),
]
OverwriteOpt = Annotated[
    bool, Option("--overwrite", help="Replace a valid checkpoint that is here in another version.")
]

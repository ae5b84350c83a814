"""Sampled rows through the weights again: what hashes cannot tell of weights and manifest forged together."""

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.services.validation.predictions import Evidence
from goemo_cli.services.validation.report import ValidationReport

RECOMPUTE_TOLERANCE = 1e-5
"""Of probabilities in fp32: other batches and other processors round otherwise, by less."""


def check_weights(checkpoint: Checkpoint, test: Evidence, report: ValidationReport) -> None:
    """Compare the file's probabilities of its sampled rows with what the weights say now, in fp32."""
    if not report.sound(checkpoint.path) or not len(test.sample.texts):
        return  # damaged weights are not run
    # Here and not above: nothing else of a validation loads torch.
    from goemo_cli.ml.models.classifier import load_classifier

    with report.guard(checkpoint.path):
        y_prob = load_classifier(checkpoint).predict_proba(test.sample.texts)
        off = np.abs(y_prob - test.y_prob[test.sample.rows])
        largest, n_off = float(off.max()), int((~(off <= RECOMPUTE_TOLERANCE)).any(axis=1).sum())
        report.recomputed[str(checkpoint.run)] = largest
        report.check(
            f"{len(off)} rows recomputed, largest difference {largest:.1e}",
            test.path,
            holds=n_off == 0,
            otherwise=f"is not what the weights of {checkpoint.run} say: probabilities of {n_off} of {len(off)} "
            f"recomputed rows differ, by up to {largest:.1e}",
        )

"""Start the classifier of a model at the embeddings of its label names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from goemo_cli.core.arrays import BoolArray
from goemo_cli.ml.models.layers import only_first_token
from goemo_cli.ml.models.pretrained import head_layers
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.losses import bce, cross_entropy

_TEXTS = 500
"""Of train, evenly spread: a single number is fitted on them."""
_LARGEST = 8.0
"""Scale, as the standard deviation of what the names add to the logits."""


class NameStart(NamedTuple):
    """What the names of the labels say about the texts before any training."""

    loss_without: float
    """Mean loss of a cell (of a text with a softmax) with the bias alone."""
    loss_with: float
    """The same with the names; never higher."""


@torch.no_grad()
def start_at_label_names(
    classifier: TransformerClassifier, template: str, texts: Sequence[str], y_true: BoolArray
) -> NameStart | None:
    """Set each label's weights to the embedding of its name in a text, times the scale with the lowest loss on train.

    Names that say nothing about the texts get a scale near 0. Labels that continue keep their weights.

    Args:
        classifier: with the bias that it will start with.
        template: the text whose embedding is that of a label, with {} for its name.
        texts: n_examples texts of train, of which up to 500 are used.
        y_true: their gold labels, (n_examples, n_labels).

    Returns:
        None, and the classifier is as before, if it has fewer than two labels to start, or no bias.

    Source:
        Wortsman et al. 2022, https://arxiv.org/abs/2109.01903, section 3: a classifier of images starts at the text
        embeddings of the class names. The scale that is fitted on train is our own.
    """
    layer = head_layers(classifier.model)[-1][1]
    new = [row for row, label in enumerate(classifier.labels) if label not in classifier.continued]
    if len(new) < 2 or layer.bias is None:
        return None
    rows = np.unique(np.linspace(0, len(texts) - 1, _TEXTS).astype(np.int64))
    seen = _head_inputs(classifier, layer, [texts[row] for row in rows])  # (n_texts, width)
    named = [template.replace("{}", classifier.labels[row].replace("_", " ")) for row in new]
    names = _head_inputs(classifier, layer, named)
    directions = functional.normalize(names - names.mean(dim=0))  # (n_new, width)
    similarity = seen @ directions.T
    spread = similarity.std().clamp(min=1e-6)

    layer.weight[new] = 0
    without = functional.linear(seen, layer.weight.cpu(), layer.bias.cpu())  # (n_texts, n_labels)
    added = torch.zeros_like(without)
    added[:, new] = (similarity - similarity.mean(dim=0)) / spread
    gold = torch.from_numpy(y_true[rows]).to(without)
    scale = _fitted_scale(without, added, gold, single_label=classifier.is_single_label)
    layer.weight[new] = (directions * (scale / spread)).to(layer.weight)
    layer.bias[new] -= (similarity.mean(dim=0) * (scale / spread)).to(layer.bias)
    loss = cross_entropy if classifier.is_single_label else bce
    return NameStart(float(loss(without, gold)), float(loss(without + scale * added, gold)))


def _head_inputs(classifier: TransformerClassifier, layer: nn.Linear, texts: Sequence[str]) -> Tensor:
    """What the last layer of the classifier reads of each text, (n_texts, width), without dropout."""
    model, encoded = classifier.model, classifier.encode(texts)
    found = torch.empty(len(texts), layer.in_features)
    read: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    was_training = model.training
    model.eval()
    with only_first_token(model):
        for rows in encoded.batches_by_length():
            model(**encoded.padded(rows, layer.weight.device))
            found[rows] = read.pop().float().cpu()
    model.train(was_training)
    hook.remove()
    return found


def _fitted_scale(without: Tensor, added: Tensor, gold: Tensor, *, single_label: bool) -> float:
    """The share of `added` with the lowest loss, 0 to `_LARGEST`: the loss is convex, so its slope has one zero."""

    def slope(scale: float) -> float:
        logits = without + scale * added
        y_prob = torch.softmax(logits, dim=-1) if single_label else torch.sigmoid(logits)
        return float(((y_prob - gold) * added).sum())

    low, high = 0.0, _LARGEST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low

"""Int8 products in an ONNX model: weights have one scale per column, activations one scale per token, measured at run time.

onnxruntime's own dynamic quantization has one scale for all activations of a batch. Then the other texts of a batch change the
result of a text, and one large activation makes all others coarse.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import CommonSubexpressionEliminationPass
from onnxscript.rewriter import RewriteRule, rewrite

_STEP, _ZERO = np.float32(1 / 127), np.uint8(128)
"""Of activations divided by the largest of their row. They are unsigned: most processors multiply unsigned with signed bytes."""
_SMALLEST = np.float32(1e-30)
"""Of the largest number of a row: a row of zeros has a scale, too."""


def quantize(model: ir.Model, weight_bits: int) -> ir.Model:
    """The model with int8 weights in the products with activations of three dimensions, and in the tables of embeddings.

    Products of activations (attention), and those of one vector per text (the head), stay in fp32.

    Args:
        model: in fp32; it is changed.
        weight_bits: 8, or 7 for processors whose sums of products of bytes have 16 bits.
    """
    weights = _Weights(largest=2 ** (weight_bits - 1) - 1)
    rules = [
        RewriteRule(_product, partial(_product_of_bytes, weights), _is_with_constant_matrix),
        RewriteRule(_embedding, partial(_embedding_of_bytes, weights), _is_with_constant_matrix),
    ]
    quantized: ir.Model = rewrite(model, rules)
    CommonSubexpressionEliminationPass()(quantized)  # query, key and value read the same activations
    return quantized


@dataclass(frozen=True)
class _Weights:
    """Quantized matrices, each of which several products may use: ALBERT's layers share theirs."""

    largest: int
    made: dict[str, tuple[ir.Value, ir.Value]] = field(default_factory=dict)

    def quantized(self, op: Any, matrix: ir.Value, axis: int) -> tuple[ir.Value, ir.Value]:
        """A matrix as int8, and the scale of each column (axis 0) or row (axis 1): the number that the byte 1 means."""
        assert matrix.const_value is not None  # as checked
        name, numbers = f"{matrix.name}_int8_{axis}", matrix.const_value.numpy()
        if name not in self.made:
            scales = np.maximum(np.abs(numbers).max(axis=axis), _SMALLEST) / np.float32(self.largest)
            values = np.round(numbers / np.expand_dims(scales, axis)).astype(np.int8)
            self.made[name] = (
                op.initializer(ir.tensor(values), name=name),
                op.initializer(ir.tensor(scales), name=f"{name}_scale"),
            )
        return self.made[name]


def _product(op: Any, x: Any, matrix: Any) -> Any:
    """What is replaced: activations, (..., tokens, k), times weights, (k, n)."""
    return op.MatMul(x, matrix)


def _product_of_bytes(weights: _Weights, op: Any, x: ir.Value, matrix: ir.Value) -> ir.Value:
    """A product of bytes, times the scale of the column and the largest activation of the row."""
    values, scales = weights.quantized(op, matrix, axis=0)
    step, zero = _constant(op, _STEP), _constant(op, _ZERO)
    largest = op.ReduceMax(op.Abs(x), _constant(op, np.array([-1])), keepdims=1)
    largest = op.Max(largest, _constant(op, _SMALLEST))
    product = op.MatMulIntegerToFloat(
        op.QuantizeLinear(op.Div(x, largest), step, zero),
        values,
        step,
        scales,
        zero,
        _domain="com.microsoft",
        _version=1,
    )
    found: ir.Value = op.Mul(product, largest)
    return found


def _embedding(op: Any, matrix: Any, places: Any) -> Any:
    """What is replaced: rows of a table."""
    return op.Gather(matrix, places, axis=0)


def _embedding_of_bytes(weights: _Weights, op: Any, matrix: ir.Value, places: ir.Value) -> ir.Value:
    """Rows of bytes, each times its own scale."""
    values, scales = weights.quantized(op, matrix, axis=1)
    rows = op.Cast(op.Gather(values, places, axis=0), to=ir.DataType.FLOAT)
    scale = op.Unsqueeze(op.Gather(scales, places, axis=0), _constant(op, np.array([-1])))
    found: ir.Value = op.Mul(rows, scale)
    return found


def _is_with_constant_matrix(_context: Any, matrix: ir.Value, **_: Any) -> bool:
    constant = matrix.const_value
    return constant is not None and constant.dtype == ir.DataType.FLOAT and len(constant.shape) == 2


def _constant(op: Any, value: Any) -> Any:
    return op.Constant(value=ir.tensor(value))

"""Int8 models: the arithmetic against numpy."""

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from goemo_cli.core.arrays import FloatArray
from goemo_cli.ml.onnx.quantization import quantize


def table_and_product(table: FloatArray, weights: FloatArray) -> Any:
    """A model that looks rows up in a table and multiplies them with weights."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "places"], ["rows"], axis=0),
            helper.make_node("MatMul", ["rows", "weights"], ["product"]),
        ],
        "graph",
        [helper.make_tensor_value_info("places", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["batch", "tokens", weights.shape[1]])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def session(model: Any) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("bits", [7, 8])
def test_the_arithmetic_is_that_of_numpy(bits: int):
    """Each row of the table and each column of the weights has its scale, and each row of activations again."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 24)).astype(np.float32) * rng.uniform(0.01, 100, size=(50, 1)).astype(
        np.float32
    )
    table[7] = 0
    weights = rng.normal(size=(24, 10)).astype(np.float32) * rng.uniform(0.01, 100, size=10).astype(
        np.float32
    )
    weights[:, 3] = 0
    places = np.array([[7, 1, 2], [3, 4, 49]])

    largest = {7: 63, 8: 127}[bits]
    row_scales = np.abs(table).max(axis=1, keepdims=True) / largest
    row_scales[7] = 1
    rows = (np.round(table / row_scales) * row_scales)[places]
    scales = np.abs(rows).max(axis=-1, keepdims=True) / 127
    scales[0, 0] = 1
    column_scales = np.abs(weights).max(axis=0) / largest
    column_scales[3] = 1
    expected = (np.round(rows / scales) @ np.round(weights / column_scales)) * scales * column_scales

    model = quantize(ir.from_proto(table_and_product(table, weights)), bits)
    (found,) = session(ir.to_proto(model)).run(None, {"places": places})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (found[0, 0] == 0).all()
    assert (found[..., 3] == 0).all()

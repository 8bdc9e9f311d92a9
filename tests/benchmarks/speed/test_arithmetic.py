"""What an engine has to compute, counted from a run of its graph."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from samotion.benchmarks.speed.arithmetic import flops
from samotion.calibration.recording.activations import Inputs


def test_products_and_convolutions_are_counted(tmp_path: Path) -> None:
    """A convolution of 2 to 3 channels, a transposed one back, and a product, in the shapes of the run."""
    weights = {
        "conv": np.ones((3, 2, 3, 3), np.float32),
        "back": np.ones((3, 2, 2, 2), np.float32),
        "product": np.ones((10, 7), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["a", "back"], ["b"], strides=[2, 2]),
        helper.make_node("MatMul", ["b", "product"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 2, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "small.onnx")
    conv, back, product = 3 * 4 * 5 * 2 * 9, 3 * 4 * 5 * 2 * 4, 2 * 8 * 7 * 10
    for batch in (1, 3):
        given: Inputs = {"x": np.ones((batch, 2, 4, 5), np.float32)}
        assert flops(tmp_path / "small.onnx", given) == 2 * batch * (conv + back + product)

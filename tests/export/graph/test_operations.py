"""Work counted from shapes: by hand, and against the shipped graphs as ONNX Runtime runs them."""

import pytest
import torch
from torch import nn

from samotion.benchmarks.speed.arithmetic import flops
from samotion.engines.manifest import EMBEDDED
from samotion.export.graph.operations import Work, work
from samotion.export.networks.sam2 import sam2_graphs
from samotion.export.networks.sam2.sam2_model import Sam2
from samotion.export.presets import NANO


def test_work_by_hand() -> None:
    with torch.device("meta"):
        layers = nn.Sequential(nn.Linear(5, 7), nn.ReLU())
    assert work(layers, {"input": torch.zeros(3, 5)}) == Work(2 * 3 * 5 * 7, 5 * 7 + 7 + 3 * 5 + 3 * 7)


def test_a_part_counts_the_weights_that_it_reads() -> None:
    model = NANO.networks["masks"].empty()
    assert isinstance(model, Sam2)
    found = work(sam2_graphs.MemoryEncoderGraph(model), sam2_graphs.memory_encoder_inputs(model.params, 1, 1))
    assert found.numbers < sum(weight.numel() for weight in model.parameters()) / 4


def test_shapes_tell_what_a_run_of_the_graph_tells() -> None:
    model = NANO.networks["masks"].empty()
    assert isinstance(model, Sam2)
    given = sam2_graphs.encoder_inputs(model.params, 2)
    ran = flops(EMBEDDED / "mask_encoder.onnx", {name: value.numpy() for name, value in given.items()})
    assert work(sam2_graphs.MaskEncoderGraph(model), given).flops == pytest.approx(ran, rel=0.02)

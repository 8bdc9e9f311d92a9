import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tests.support.parity_fixtures import images
from tests.support.paths import GOLDEN, MANIFESTS
from torch.nn import functional

from samotion.export.graph.export import export, relative_error
from samotion.export.networks.dinov2 import NANO, OFFICIAL, example, graphs
from samotion.export.networks.vit import VIT_B, VisionTransformer, VitParams
from samotion.export.weights.load import load, random_state

TINY = VitParams(width=12, depth=2, heads=3, grid=5)


def filled(params: VitParams) -> VisionTransformer:
    model = VisionTransformer(params)
    load(model, random_state(model, 0), "random weights")
    return model.eval()


def published_positions(model: VisionTransformer, rows: int, columns: int) -> torch.Tensor:
    side = model.params.grid
    table = model.pos_embed[0, 1:].T.reshape(1, -1, side, side)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    answer = functional.interpolate(table, scale_factor=scale, mode="bicubic", align_corners=False)
    return answer[0].permute(1, 2, 0)


def test_keys_of_the_checkpoint() -> None:
    wanted = json.loads((MANIFESTS / "dinov2_vitb14.json").read_text())
    with torch.device("meta"):
        found = VisionTransformer(OFFICIAL).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == {k: shape for k, (shape, _) in wanted.items()}


def test_answers_as_published() -> None:
    image = torch.from_numpy(images("dinov2/image", 1, 140, 182))
    with torch.no_grad():
        keys = filled(OFFICIAL).keys(image)[0].numpy()
    assert keys.shape == (19, 25, 768)
    wanted = np.load(GOLDEN / "dinov2_vitb14.npz")["keys_stride7"]
    assert relative_error(keys[::2, ::2], wanted) < 1e-4


@pytest.mark.parametrize("size", [(3, 8), (5, 4), (1, 1), (11, 9), (1, 6)])
def test_positions_as_pytorch_interpolates_them(size: tuple[int, int]) -> None:
    model = filled(TINY)
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in size)
    with torch.no_grad():
        torch.testing.assert_close(model.positions(rows, columns), published_positions(model, *size))


def test_a_grid_of_the_tables_size_takes_it_as_it_is() -> None:
    model = filled(TINY)
    places = torch.arange(5, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(model.positions(places, places).flatten(0, 1), model.pos_embed[0, 1:])


@pytest.mark.parametrize("params", [TINY, replace(TINY, stride=7, by_head=True), NANO])
def test_graph_at_other_sizes(params: VitParams, tmp_path: Path) -> None:
    (spec,) = graphs(filled(params))
    entry = export(spec, tmp_path)
    assert entry.parity["keys"] < 1e-5
    assert entry.inputs[0].shape == ("B", 3, "h", "w")


def test_head_by_head_is_the_same_and_never_holds_the_scores_of_all(tmp_path: Path) -> None:
    image, apart = example(TINY, 4, 6, 1), replace(TINY, by_head=True)
    torch.testing.assert_close(filled(apart).keys(image["image"]), filled(TINY).keys(image["image"]))
    (spec,) = graphs(filled(apart))
    export(spec, tmp_path, compare=False)
    model = onnx.load(tmp_path / "semantics.onnx")
    scores = {output for node in model.graph.node if node.op_type == "Softmax" for output in node.output}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.value_info if value.name in scores]
    assert [shape[1].dim_value for shape in shapes] == [1] * TINY.heads * (TINY.depth - 1)


def test_stride_seven_doubles_the_grid() -> None:
    keys = filled(replace(TINY, stride=7)).keys(example(TINY, 4, 6, 1)["image"])
    assert keys.shape == (1, 7, 11, 12)
    assert VIT_B.stride == 14
    assert OFFICIAL.by_head

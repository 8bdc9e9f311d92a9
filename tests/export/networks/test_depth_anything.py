import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.parity_fixtures import images
from tests.support.paths import GOLDEN, MANIFESTS

from samotion.export.graph.export import export, relative_error
from samotion.export.networks.depth_anything import BASE, LARGE, NANO, SMALL, DepthAnything, DepthParams, graphs
from samotion.export.weights.load import load, random_state


def filled(params: DepthParams) -> DepthAnything:
    model = DepthAnything(params)
    load(model, random_state(model, 0), "random weights")
    return model.eval()


@pytest.mark.parametrize(("name", "params"), [("vits", SMALL), ("vitb", BASE), ("vitl", LARGE)])
def test_keys_of_the_checkpoint(name: str, params: DepthParams) -> None:
    wanted = json.loads((MANIFESTS / f"depth_anything_v2_{name}.json").read_text())
    with torch.device("meta"):
        found = DepthAnything(params).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == {k: shape for k, (shape, _) in wanted.items()}


def test_answers_as_published() -> None:
    image = torch.from_numpy(images("depth_anything/image", 1, 252, 336))
    with torch.no_grad():
        disparity = filled(SMALL)(image).numpy()
    assert disparity.shape == (1, 252, 336)
    wanted = np.load(GOLDEN / "depth_anything_v2_vits.npz")["disparity"]
    assert relative_error(disparity[:, ::3, ::3], wanted) < 1e-4


def test_graph_at_other_sizes(tmp_path: Path) -> None:
    (spec,) = graphs(filled(NANO))
    entry = export(spec, tmp_path)
    assert entry.parity["disparity"] < 1e-5
    assert entry.inputs[0].shape == ("B", 3, "h", "w")

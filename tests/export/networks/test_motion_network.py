import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.paths import GOLDEN, MANIFESTS
from torch import Tensor

from samotion.engines.manifest import EMBEDDED
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.export import export, relative_error
from samotion.export.networks.motion.motion_blocks import Attention
from samotion.export.networks.motion.motion_network import (
    NANO,
    OFFICIAL,
    MotionGraph,
    MotionNetwork,
    MotionParams,
    disparity_cells,
    example,
    graphs,
)
from samotion.export.weights.load import load, random_state


def filled(params: MotionParams) -> MotionNetwork:
    network = MotionNetwork(params)
    load(network, random_state(network, 0), "random weights")
    return network.eval()


def test_keys_of_the_checkpoint() -> None:
    wanted = json.loads((MANIFESTS / "moseg.json").read_text())
    found = MotionNetwork(OFFICIAL).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == {k: shape for k, (shape, _) in wanted.items()}


def test_answers_as_published() -> None:
    golden = np.load(GOLDEN / "moseg.npz")
    xy = torch.from_numpy(golden["traj"][0]).permute(1, 2, 0)
    visible = ~torch.from_numpy(golden["hidden"][0, 0])
    visibility, confidence = (torch.from_numpy(golden[name][0, 0]) for name in ("visibility", "confidence"))
    disparity = torch.from_numpy(golden["depth"][0, 0]).permute(2, 0, 1)
    semantics = torch.from_numpy(golden["dino"][0, :, :, 0]).T
    network = filled(OFFICIAL)
    with torch.no_grad():
        channels = network.augment(xy, visible, visibility, confidence, network.look_up(xy, disparity))
        encoded = network.joint_encoder(channels, visible)
        probability = MotionGraph(network)(xy, visible, visibility, confidence, disparity, semantics)
    assert relative_error(channels.permute(2, 0, 1).numpy()[::5, ::4], golden["augmented"]) < 1e-6
    assert relative_error(encoded.T.numpy(), golden["encoded"][0]) < 1e-4
    assert np.abs(probability.numpy() - golden["probability"].ravel()).max() < 1e-4


def test_depth_is_read_where_the_weights_expect_it() -> None:
    corners = torch.tensor([[-1.0, -1.0], [0.99, 0.99], [0.0, 0.0], [1.0, 1.0]]).unsqueeze(1)
    assert disparity_cells(corners, 10, 20, as_trained=True).flatten().tolist() == [0, 199, 0, 199]
    assert disparity_cells(corners, 10, 20, as_trained=False).flatten().tolist() == [0, 199, 110, 199]


def test_order_of_tracks_does_not_matter() -> None:
    network, inputs = filled(NANO), example(NANO, 12, 6)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    shuffled = {name: value if name == "disparity" else value[order] for name, value in inputs.items()}
    with torch.no_grad():
        torch.testing.assert_close(network(*shuffled.values()), network(*inputs.values())[order])


def test_all_tracks_hidden_in_a_frame_stays_finite() -> None:
    inputs = example(NANO, 6, 4)
    inputs["visible"][:, 2] = False
    with torch.no_grad():
        assert filled(NANO)(*inputs.values()).isfinite().all()


@pytest.mark.parametrize("params", [NANO, pytest.param(OFFICIAL, marks=pytest.mark.slow)], ids=["nano", "official"])
def test_graph_at_other_sizes(tmp_path: Path, params: MotionParams) -> None:
    (spec,) = graphs(filled(params))
    entry = export(spec, tmp_path)
    assert entry.parity["probability"] < 1e-5
    assert entry.inputs[4].shape == ("T", "H", "W")
    with OnnxEngine(tmp_path / "motion.onnx", entry.inputs, entry.outputs) as engine:
        for tracks, frames in ((1, 1), (1, 2), (2, 2), (3, 40), (60, 3)):
            case = example(params, tracks, frames, (5, 4), seed=frames)
            answer = engine(**{name: value.numpy() for name, value in case.items()})
            assert answer["probability"].shape == (tracks,)
            assert relative_error(answer["probability"], torch_answer(spec.module, case)) < 1e-5


def torch_answer(module: torch.nn.Module, case: dict[str, Tensor]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with torch.no_grad():
        answer: np.ndarray[tuple[int], np.dtype[np.float32]] = module(*case.values()).numpy()
    return answer


GROWTH = """
import resource, sys
import numpy as np, onnxruntime
tracks, frames = 2000, 40
seen = np.ones((tracks, frames), np.float32)
given = {"xy": np.stack((seen, seen), -1), "visible": seen > 0, "visibility": seen, "confidence": seen,
         "disparity": np.ones((frames, 4, 4), np.float32), "semantics": np.ones((tracks, 96), np.float32),
         "deviations": np.ones((tracks, frames, 15), np.float32)}
session = onnxruntime.InferenceSession(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session.run(None, given)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB is Linux's")
def test_attention_across_tracks_takes_the_memory_of_one_frame() -> None:
    """All frames' scores at once would be 0.6 GB a head, and as much for their softmax."""
    run = [sys.executable, "-c", GROWTH, str(EMBEDDED / "motion.onnx")]
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    assert int(found.stdout) < 300  # MB


def test_attention_is_exact_whether_in_turn_or_at_once() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 4).eval()
    x, hidden = torch.randn(6, 9, 16), torch.rand(6, 9) > 0.5
    with torch.no_grad():
        torch.testing.assert_close(attention(x, x, hidden, in_turn=True), attention(x, x, hidden))

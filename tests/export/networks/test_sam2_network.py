import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.parity_fixtures import images
from tests.support.paths import GOLDEN, MANIFESTS
from torch import Tensor

from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.export import export, relative_error
from samotion.export.networks.sam2 import NANO, OFFICIAL, HieraParams, Sam2, Sam2Params, graphs
from samotion.export.networks.sam2.prompt_encoder import discs
from samotion.export.networks.sam2.reference_loop import Answer, Bank, Tracker
from samotion.export.networks.sam2.sam2_graphs import (
    MaskDecoderGraph,
    MemoryAttentionGraph,
    decoder_inputs,
    memory_attention_inputs,
    memory_encoder_inputs,
)
from samotion.export.networks.sam2.sam2_model import EMPTY_TIME
from samotion.export.weights.load import load, random_state

NAMES = sorted(path.stem for path in MANIFESTS.glob("sam2*.json"))
TINY = Sam2Params(
    HieraParams(8, 1, (1, 1, 2, 1), (4, 2, 3, 2), (3,), 3),
    image_size=64,
    width=16,
    memory_width=8,
    attention_layers=2,
    attention_feedforward=16,
    decoder_heads=2,
    decoder_feedforward=16,
    iou_width=16,
)
TOLERANCE = 1e-4


def filled(params: Sam2Params) -> Sam2:
    model = Sam2(params)
    load(model, random_state(model, 0), "random weights")
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_the_checkpoint(name: str) -> None:
    wanted = json.loads((MANIFESTS / f"{name}.json").read_text())
    with torch.device("meta"):
        found = Sam2(OFFICIAL[name]).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == {k: shape for k, (shape, _) in wanted.items()}


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "sam2_hiera_tiny"])
def test_answers_as_published(name: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    model = filled(OFFICIAL[name])
    with torch.inference_mode():
        frames = torch.from_numpy(images("sam2/video", 4, 1024, 1024))
        encoded = [model.encode(frame[None]) for frame in frames]
        tracker = Tracker(model, 4)
        answers = [tracker.click(0, encoded[0], torch.tensor([[[400.0, 520], [610, 300]]]), torch.tensor([[1, 1]]))]
        answers += [tracker.step(t, encoded[t]) for t in range(1, 4)]
        single = Tracker(model, 4).click(0, encoded[0], torch.tensor([[[400.0, 520]]]), torch.tensor([[1]]))
    high_0, high_1, features = (x[0].numpy() for x in encoded[0])
    assert relative_error(high_0[:, ::16, ::16], golden["fpn0"]) < TOLERANCE
    assert relative_error(high_1[::4, ::8, ::8], golden["fpn1"]) < TOLERANCE
    assert relative_error(features[::4, ::4, ::4], golden["fpn2"]) < TOLERANCE
    for t, answer in enumerate(answers):
        agrees(answer, {key: golden[f"{key}_{t}"] for key in ("low_res_logits", "obj_ptr", "object_score", "memory")})
    agrees(single, {key: golden[f"click_{key}"] for key in ("low_res_logits", "obj_ptr", "object_score", "memory")})


def agrees(answer: Answer, golden: dict[str, np.ndarray]) -> None:
    assert relative_error(answer.mask[0, ::2, ::2].numpy(), golden["low_res_logits"]) < TOLERANCE
    assert relative_error(answer.pointer[0].numpy(), golden["obj_ptr"]) < TOLERANCE
    assert relative_error(answer.object_score.numpy(), golden["object_score"]) < TOLERANCE
    assert relative_error(answer.memory[0, ::4, ::4, ::4].numpy(), golden["memory"]) < TOLERANCE


OTHER = replace(TINY, signed_pointers=False, absent_memory=False, mask_scale=1, click_radius=5.0)


@pytest.mark.parametrize("params", [TINY, pytest.param(OTHER, marks=pytest.mark.slow)])
def test_graphs_take_any_counts(params: Sam2Params, tmp_path: Path) -> None:
    model = filled(params)
    more = {
        "mask_encoder": {"image": torch.randn(3, 3, 64, 64)},
        "mask_decoder": decoder_inputs(params, 1, 1, 1),
        "memory_encoder": memory_encoder_inputs(params, 1, 1),
        "memory_attention": memory_attention_inputs(params, 1, 1, 1, 1),
    }
    for spec in graphs(model):
        entry = export(spec, tmp_path)
        assert [tensor.name for tensor in entry.inputs] == list(spec.inputs)
        with OnnxEngine(tmp_path / entry.file, entry.inputs, entry.outputs) as engine, torch.no_grad():
            given = more[spec.name]
            found = engine(**{name: value.numpy() for name, value in given.items()})
            wanted = spec.module(*given.values())
        wanted = (wanted,) if isinstance(wanted, Tensor) else wanted
        for name, value in zip(spec.outputs, wanted, strict=True):
            assert relative_error(found[name], value.numpy()) < TOLERANCE, name


@pytest.mark.parametrize("signed", [True, False])
def test_empty_slots_change_nothing(signed: bool) -> None:
    params = replace(TINY, signed_pointers=signed)
    graph = MemoryAttentionGraph(filled(params))
    given = memory_attention_inputs(params, 2, 1, 3, 4)
    given["memory_time"] = torch.tensor([[0, 3, 1], [2, 0, 1]])
    given["pointer_time"] = torch.tensor([[5.0, 3, 2, 1], [4, -2, 6, 1]])
    padded = dict(given)
    padded["memory"] = torch.cat([given["memory"], 50 * torch.randn_like(given["memory"])], 1)
    padded["memory_time"] = torch.cat([given["memory_time"], torch.full((2, 3), -1)], 1)
    padded["pointers"] = torch.cat([50 * torch.randn_like(given["pointers"]), given["pointers"]], 1)
    padded["pointer_time"] = torch.cat([torch.full((2, 4), EMPTY_TIME), given["pointer_time"]], 1)
    with torch.no_grad():
        torch.testing.assert_close(graph(*padded.values()), graph(*given.values()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clicks", [0, 1, 3])
def test_padding_clicks_change_nothing(clicks: int) -> None:
    graph = MaskDecoderGraph(filled(TINY))
    given = decoder_inputs(TINY, 2, 1, max(clicks, 1))
    given["labels"] = torch.ones_like(given["labels"]) if clicks else -torch.ones_like(given["labels"])
    padded = dict(given)
    padded["points"] = torch.cat([given["points"], torch.rand(2, 5, 2) * 64], 1)
    padded["labels"] = torch.cat([given["labels"], torch.full((2, 5), -1)], 1)
    with torch.no_grad():
        for found, wanted in zip(graph(*padded.values()), graph(*given.values()), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_objects_share_a_frame_or_bring_their_own() -> None:
    graph = MaskDecoderGraph(filled(TINY))
    shared = decoder_inputs(TINY, 3, 1, 2)
    own = {key: value.repeat(3, 1, 1, 1) if len(value) == 1 else value for key, value in shared.items()}
    with torch.no_grad():
        for found, wanted in zip(graph(*shared.values()), graph(*own.values()), strict=True):
            torch.testing.assert_close(found, wanted)


def entry(tag: float) -> Answer:
    return Answer(torch.zeros(1, 4, 4), torch.ones(1), torch.full((1, 2), tag), torch.full((1, 2, 1, 1), tag))


def test_bank_reads_forwards_and_backwards() -> None:
    bank = Bank(30, TINY, {10: entry(10), 20: entry(20)}, {t: entry(t) for t in [*range(11, 20), *range(3, 10)]})
    forwards, backwards = bank.slots(17), bank.slots(5, reverse=True)
    assert forwards.memory_time[0].tolist() == [0, 0, 6, 5, 4, 3, 2, 1]
    assert forwards.memory[0, :, 0, 0, 0].tolist() == [10, 20, 11, 12, 13, 14, 15, 16]
    assert forwards.pointers[0, :, 0].tolist() == [10, 16, 15, 14, 13, 12, 11, 9, 8, 7, 6, 5, 4, 3]
    assert forwards.pointer_time[0].tolist() == [7, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]
    assert backwards.memory[0, :, 0, 0, 0].tolist() == [10, 20, 11, 9, 8, 7, 6]
    assert backwards.pointers[0, :3, 0].tolist() == [10, 20, 6]
    assert backwards.pointer_time[0, :3].tolist() == [5, 15, 1]
    assert forwards.pointer_horizon.item() == 15


def test_bank_keeps_the_nearest_clicked_frames() -> None:
    bank = Bank(99, replace(TINY, max_clicked=2), {t: entry(t) for t in (0, 16, 32, 48, 64)})
    assert bank.nearest(33) == [32, 48]
    assert bank.nearest(99) == [48, 64]
    assert bank.nearest(16) == [0, 16]
    assert bank.slots(50).pointers[0, :, 0].tolist() == [48]


def test_nano_is_small() -> None:
    model = Sam2(NANO)
    assert sum(weight.numel() for weight in model.parameters()) < 3_000_000
    assert NANO.image_size % (4 * NANO.trunk.windows[0]) == 0


def test_clicks_drawn_as_discs() -> None:
    points, labels = torch.tensor([[[6.0, 30.0], [50.0, 14.0], [1.0, 1.0]]]), torch.tensor([[1, 0, -1]])
    drawn = discs(points, labels, 16, 4.0, 3.0)[0, 0]
    assert drawn[7, 1] == pytest.approx(10.0)
    assert drawn[3, 12] == pytest.approx(-10.0)
    assert abs(float(drawn[0, 0])) < 1e-3

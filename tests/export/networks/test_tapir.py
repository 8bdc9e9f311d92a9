import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.support.parity_fixtures import images
from tests.support.paths import GOLDEN, MANIFESTS

from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.export import export, relative_error
from samotion.export.networks.tapir import NANO, OFFICIAL, Tapir, TapirParams, graphs
from samotion.export.networks.tapir.track_head import sample, similarities, soft_argmax
from samotion.export.training.tapir.tapir_clips import Example, cropped, cut, drawn
from samotion.export.training.tapir.tapir_recipe import cell_loss
from samotion.export.weights.load import load, random_state

TINY = TapirParams(
    resolution=64,
    channels=(4, 6, 8, 8),
    blocks=(1, 1, 1, 1),
    extra_convs=1,
    extra_multiplier=2,
    cost_channels=(4, 4, 4),
    mixer_width=8,
    mixer_blocks=1,
    iterations=2,
)


def filled(params: TapirParams) -> Tapir:
    model = Tapir(params)
    load(model, random_state(model, 0), "random weights")
    return model.eval()


def test_keys_of_the_checkpoint() -> None:
    wanted = json.loads((MANIFESTS / "bootstapir.json").read_text())
    with torch.device("meta"):
        found = Tapir(OFFICIAL).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == {k: shape for k, (shape, _) in wanted.items()}


def test_answers_as_published() -> None:
    golden = np.load(GOLDEN / "bootstapir.npz")
    model = filled(OFFICIAL)
    points = torch.from_numpy(golden["queries"])
    with torch.no_grad():
        low, high = model.features(torch.from_numpy(images("bootstapir/video", 8, 256, 256) / 2))
        guesses, _ = model.track(*model.queries(low, high, points), low, high, points)
    assert relative_error(low.numpy()[::3, ::8, ::8], golden["lowres"]) < 1e-4
    assert relative_error(high.numpy()[::3, ::16, ::16], golden["hires"]) < 1e-4
    assert np.abs(guesses[0].xy.numpy() - golden["unrefined_tracks"]).max() < 0.02
    assert np.abs(guesses[-1].xy.numpy() - golden["tracks"]).max() < 0.02
    assert relative_error(guesses[-1].occlusion.numpy(), golden["occlusion"]) < 1e-4
    assert relative_error(guesses[-1].expected_distance.numpy(), golden["expected_dist"]) < 1e-4


def test_query_order_does_not_matter() -> None:
    model = filled(TINY)
    frames = torch.rand(4, 3, 64, 64)
    points = torch.tensor([[0.0, 5, 60], [3, 33.5, 20], [1, 0, 63], [2, 40, 40]])
    with torch.no_grad():
        one, other = model(frames, points)[-1], model(frames, points.flip(0))[-1]
    torch.testing.assert_close(one.xy, other.xy.flip(0), rtol=0, atol=1e-4)


def test_first_guess_passes_through_its_own_point() -> None:
    model = filled(TINY)
    point, elsewhere = torch.tensor([[2.0, 5.25, 60.5]]), torch.tensor([[-1.0, 5.25, 60.5]])
    with torch.no_grad():
        low, high = model.features(torch.rand(3, 3, 64, 64))
        queries = model.queries(low, high, point)
        bound, free = (model.track(*queries, low, high, points)[0][0].xy for points in (point, elsewhere))
    assert bound[0, 2].tolist() == [60.5, 5.25]
    assert free[0, 2].tolist() != [60.5, 5.25]
    assert torch.equal(bound[:, :2], free[:, :2])


def test_sample_is_bilinear_with_the_border_held() -> None:
    grid = torch.rand(3, 8, 8, 5)
    points = torch.tensor([[0.0, 0, 0], [2, 64, 64], [1, 31.3, 7.9], [2, 3, 62]])
    for point, found in zip(points, sample(grid, points, 64), strict=True):
        where = (point[1:].flip(0) / 32 - 1).reshape(1, 1, 1, 2)
        frame = grid[int(point[0])].permute(2, 0, 1)[None]
        wanted = F.grid_sample(frame, where, padding_mode="border", align_corners=False)
        torch.testing.assert_close(found, wanted.flatten())


@pytest.mark.parametrize("reach", [1.0, 3.0, 1e6])
def test_similarities_are_those_of_sampled_neighbours(reach: float) -> None:
    torch.manual_seed(0)
    grid, query = torch.rand(2, 8, 8, 5), torch.rand(6, 2, 5)
    cell = (torch.rand(6, 2, 2) - 0.5) * 8 * reach + 3.5
    steps = torch.arange(-3, 4)
    around = torch.stack(torch.meshgrid(steps, steps, indexing="ij")[::-1], -1).reshape(-1, 2)
    where = (cell.unsqueeze(2) + around + 0.5) / 4 - 1
    near = F.grid_sample(grid.permute(0, 3, 1, 2), where.transpose(0, 1), align_corners=False)
    wanted = torch.einsum("tcns,ntc->nts", near, query)
    torch.testing.assert_close(similarities(grid, cell, query), wanted, rtol=1e-4, atol=1e-5)


def test_soft_argmax_averages_near_the_peak_alone() -> None:
    heat = torch.full((1, 16, 16), -50.0)
    heat[0, 4, 7] = heat[0, 4, 8] = 1.0
    heat[0, 15, 0] = 0.99
    assert soft_argmax(heat, 20.0)[0].tolist() == pytest.approx([8.0, 4.5])


def test_graphs_take_any_number_of_frames_and_points(tmp_path: Path) -> None:
    model = filled(TINY)
    specs = graphs(model)
    entries = {spec.name: export(spec, tmp_path) for spec in specs}
    assert [entry.inputs[0].shape[0] for entry in entries.values()] == ["T", "T", "N"]
    frames = torch.rand(1, 3, 64, 64) * 2 - 1
    points = torch.tensor([[0.0, 30, 20]])
    answers: dict[str, np.ndarray] = {"frames": frames.numpy(), "points": points.numpy()}
    for entry in entries.values():
        with OnnxEngine(tmp_path / entry.file, entry.inputs, entry.outputs) as engine:
            answers |= engine(**{tensor.name: answers[tensor.name] for tensor in entry.inputs})
    with torch.no_grad():
        wanted = model(frames, points)[-1]
    assert np.abs(answers["xy"] - wanted.xy.numpy()).max() < 1e-3
    assert np.abs(answers["occlusion"] - wanted.occlusion.numpy()).max() < 1e-3


def test_nano_is_small() -> None:
    assert sum(weight.numel() for weight in Tapir(NANO).parameters()) < 1_000_000


def colours_at(clip: Example, row: int, t: int) -> np.ndarray:
    x, y = np.clip(np.floor(clip.xy[row, t]).astype(int), 0, clip.frames.shape[1] - 1)
    return np.asarray(clip.frames[t, y, x], float)


def test_training_clips_keep_points_on_their_surfaces() -> None:
    rng = np.random.default_rng(3)
    whole = drawn(3, 128, None)
    clip = cropped(rng, cut(rng, whole, 8), 200)
    assert clip.frames.shape == (8, 128, 128, 3)
    assert len(clip.xy) > 100
    own = clip.points[:, 0].astype(int)
    rows = np.arange(len(own))
    assert np.array_equal(clip.xy[rows, own], clip.points[:, :0:-1])
    assert clip.visible[rows, own].all()
    shown = clip.xy[clip.visible]
    assert shown.min() >= 0
    assert shown.max() < 128
    same, other = [], []
    for row, t in np.argwhere(clip.visible):
        query = colours_at(clip, row, own[row])
        same.append(np.abs(colours_at(clip, row, t) - query).mean())
        other.append(np.abs(colours_at(clip, (row + 1) % len(own), t) - query).mean())
    assert np.mean(same) < 0.5 * np.mean(other)


def test_cell_loss_is_least_at_the_truth() -> None:
    truth = torch.tensor([[2.25, 5.0], [0.0, 7.0]])
    maps = torch.full((2, 8, 8), -20.0)
    maps[0, 5, 2], maps[0, 5, 3], maps[1, 7, 0] = np.log(0.75), np.log(0.25), 0.0
    keep = torch.tensor([True, True])
    assert cell_loss(maps, truth, keep) < cell_loss(maps, truth + 1, keep)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / 2
    assert float(cell_loss(maps, truth, keep)) == pytest.approx(entropy, abs=1e-3)

"""What a recipe of the tracker, depth_recipe, semantics or masks leaves out is not done, nor asked for."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.datasets import davis_like

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.networks.sam2 import NANO
from samotion.export.training.depth import depth_batches, depth_recipe
from samotion.export.training.depth.depth_batches import Scenery
from samotion.export.training.ingredients import NETWORKS
from samotion.export.training.masks import mask_clips, mask_losses, mask_recipe
from samotion.export.training.masks.mask_batches import Supply
from samotion.export.training.masks.mask_clips import some_clicks
from samotion.export.training.photographs import Photographs, load, textures
from samotion.export.training.semantics import semantics_recipe, semantics_views
from samotion.export.training.stamps import Stamps
from samotion.export.training.tapir import tapir_clips, tapir_recipe
from samotion.export.training.tapir.tapir_clips import Example, cut
from samotion.runtime.stages.prompts import in_mask


@dataclass(frozen=True)
class Data:
    """What the networks train on."""

    photos: Photographs
    sources: Sources
    stamps: Stamps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder: Path = tmp_path_factory.mktemp("data")
    clips = davis_like.davis(folder / "davis")
    return Data(load(clips)[0], textures(clips)[0], Stamps.load(davis_like.stamps(folder / "stamps")))


def draw_tracker(data: Data, recipe: Any) -> None:
    for seed in range(3):
        tapir_clips.example(np.random.default_rng(seed), 0, 64, 3, 8, data.sources, recipe)
    tapir_recipe.fresh(recipe)


def draw_depth(data: Data, recipe: Any) -> None:
    rng = np.random.default_rng(0)
    Scenery(data.sources).batch(rng, recipe)
    depth_batches.order(rng, data.photos, 6, recipe)


def draw_semantics(data: Data, recipe: Any) -> None:
    semantics_views.views(np.random.default_rng(0), data.photos, 6, recipe)


def draw_masks(data: Data, recipe: Any) -> None:
    supply = Supply(data.photos, data.stamps, data.sources, NANO.image_size, recipe)
    for index in range(4):
        supply.batch(index, 3, 1)


def step_masks(data: Data, recipe: Any) -> None:
    supply = Supply(data.photos, data.stamps, data.sources, NANO.image_size, recipe)
    mask_recipe.step_of(mask_recipe.fresh(recipe), supply, 0, clips=False)


@pytest.mark.parametrize(
    ("network", "ingredient", "owner", "function", "act"),
    [
        ("tracker", "crops", tapir_clips, "_window", draw_tracker),
        ("tracker", "light", tapir_clips, "recoloured", draw_tracker),
        ("tracker", "prepared", tapir_recipe, "prepare", draw_tracker),
        ("depth", "pasted", depth_batches, "paste", draw_depth),
        ("depth", "crops", depth_batches, "window", draw_depth),
        ("depth", "light", depth_batches, "recolour", draw_depth),
        ("semantics", "pasted", semantics_views, "paste", draw_semantics),
        ("semantics", "crops", semantics_views, "window", draw_semantics),
        ("semantics", "light", semantics_views, "recolour", draw_semantics),
        ("masks", "overlays", mask_clips, "_lay_over", draw_masks),
        ("masks", "stamps", Stamps, "draw", draw_masks),
        ("masks", "scenes", mask_clips, "drawn", draw_masks),
        ("masks", "light", mask_clips, "recolour", draw_masks),
        ("masks", "tracks", mask_clips, "tracked_clicks", draw_masks),
        ("masks", "corrections", mask_losses, "_corrected", step_masks),
        ("masks", "likeness", mask_losses, "likeness_loss", step_masks),
        ("masks", "prepared", mask_recipe, "prepare", step_masks),
    ],
)
def test_what_is_left_out_is_not_done(
    network: str,
    ingredient: str,
    owner: Any,
    function: str,
    act: Callable[[Data, Any], None],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = getattr(owner, function), []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(function)
        return real(*arguments, **options)

    monkeypatch.setattr(owner, function, counted)
    monkeypatch.setattr(mask_recipe, "IMAGES", 1)
    monkeypatch.setattr(mask_recipe, "CORRECTED", 1)
    whole = NETWORKS[network].whole
    act(data, whole)
    assert calls
    calls.clear()
    act(data, replace(whole, **{ingredient: False}))
    assert not calls


def test_scenes_of_the_tracker_are_drawn_where_photographs_are_left_out(data: Data) -> None:
    whole, without = tapir_clips.WHOLE, replace(tapir_clips.WHOLE, photographs=False)
    tried = ((data.sources, whole), (data.sources, without), (None, whole))
    clips = [tapir_clips.example(np.random.default_rng(0), 0, 64, 3, 8, *one).frames for one in tried]
    assert np.array_equal(clips[1], clips[2])
    assert not np.array_equal(clips[0], clips[1])


@pytest.mark.parametrize("photographs", [True, False])
def test_scenes_of_depth_are_drawn_where_photographs_are_left_out(
    photographs: bool, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sources | None] = []

    def paint(_: int, sources: Sources | None) -> Any:
        asked.append(sources)
        raise StopIteration

    monkeypatch.setattr(Scenery, "paint", staticmethod(paint))
    given = Namespace(steps=1, out=tmp_path, minutes=None)
    recipe = replace(depth_batches.WHOLE, photographs=photographs)
    with pytest.raises(StopIteration):
        depth_recipe.train(depth_recipe.fresh(), data.sources, data.photos, given, "depth", recipe)
    assert asked == [data.sources if photographs else None]


def test_cuts_run_forwards_frame_by_frame_where_paces_are_left_out() -> None:
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    clip = Example(frames, np.zeros((0, 3), np.float32), np.zeros((0, 12, 2), np.float32), np.zeros((0, 12), bool))
    for paces, expected in ((False, {1}), (True, {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5})):
        cuts = [cut(np.random.default_rng(seed), clip, 3, paces).frames[:, 0, 0, 0] for seed in range(80)]
        assert {int(step) for made in cuts for step in np.diff(made.astype(int))} == expected


def loss_tracker(data: Data, recipe: Any) -> tuple[torch.Tensor, dict[str, float]]:
    model = tapir_recipe.fresh()
    clip = tapir_clips.example(np.random.default_rng(0), 0, model.params.resolution, 2, 8, data.sources)
    return tapir_recipe.clip_loss(model, tapir_recipe.Truth.of(clip), recipe)


def loss_depth(data: Data, recipe: Any) -> tuple[torch.Tensor, dict[str, float]]:
    return depth_recipe.batch_loss(
        depth_recipe.fresh(), Scenery(data.sources), data.photos, np.random.default_rng(0), recipe
    )


def loss_semantics(data: Data, recipe: Any) -> tuple[torch.Tensor, dict[str, float]]:
    batch = semantics_views.views(np.random.default_rng(0), data.photos, 2)
    return semantics_recipe.batch_loss(semantics_recipe.fresh(), batch, recipe)


@pytest.mark.parametrize(
    ("network", "ingredient", "weight", "act"),
    [
        ("tracker", "features", 1.0, loss_tracker),
        ("depth", "scenes", 1.0, loss_depth),
        ("depth", "order", 1.0, loss_depth),
        ("semantics", "objects", 1.0, loss_semantics),
        ("semantics", "contrast", semantics_recipe.CONTRAST, loss_semantics),
    ],
)
def test_the_loss_is_less_by_what_is_left_out(
    network: str,
    ingredient: str,
    weight: float,
    act: Callable[[Data, Any], tuple[torch.Tensor, dict[str, float]]],
    data: Data,
) -> None:
    whole = NETWORKS[network].whole
    losses = []
    for recipe in (whole, replace(whole, **{ingredient: False})):
        torch.manual_seed(0)
        loss, figures = act(data, recipe)
        losses.append(float(loss.detach()))
    assert figures[ingredient] > 0.01
    assert losses[0] - losses[1] == pytest.approx(weight * figures[ingredient], rel=1e-3)


def test_the_heat_is_not_taught_outright_where_that_is_left_out(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapir_recipe, "cell_loss", lambda logits, *_: logits.sum() * 0 + 7)
    whole, without = (
        float(loss_tracker(data, recipe)[0].detach())
        for recipe in (tapir_clips.WHOLE, replace(tapir_clips.WHOLE, heat=False))
    )
    assert whole - without == pytest.approx(7, rel=1e-3)


def test_votes_and_errors_of_clicks_are_left_out() -> None:
    y, x = np.mgrid[:256, :256]
    mask = np.hypot(y - 128, x - 128) < 40
    for recipe, votes, errors in (
        (mask_clips.WHOLE, True, True),
        (replace(mask_clips.WHOLE, votes=False), False, True),
        (replace(mask_clips.WHOLE, errors=False), True, False),
        (replace(mask_clips.WHOLE, errors=False, tracks=False), False, False),
    ):
        made = [some_clicks(np.random.default_rng(seed), mask, recipe) for seed in range(60)]
        assert any(one.votes.any() for one in made) is votes
        wrong = [(in_mask(one.points, mask) != (one.labels == 1))[one.labels >= 0].any() for one in made]
        assert any(wrong) is errors

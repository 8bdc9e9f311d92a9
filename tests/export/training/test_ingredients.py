"""Each ingredient can be taken out of the motion network's training; one command tables every network's."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.datasets import davis_like

from samotion.engines.errors import InputError
from samotion.export.training import ingredients
from samotion.export.training.depth import depth_recipe
from samotion.export.training.ingredients import NETWORKS
from samotion.export.training.masks import mask_clips, mask_recipe
from samotion.export.training.motion import motion_augment, motion_recipe
from samotion.export.training.motion.motion_augment import WHOLE, draw
from samotion.export.training.motion.motion_data import TrackSample, from_scene
from samotion.export.training.motion.motion_recipe import Data, drawn, pick
from samotion.export.training.semantics import semantics_recipe
from samotion.export.training.tapir import tapir_recipe


@pytest.fixture(scope="module")
def scene() -> TrackSample:
    return from_scene(5)


def test_samples_come_from_what_the_recipe_has(scene: TrackSample) -> None:
    clip = replace(scene, exact=False)
    data = Data([scene], [], {"clip": [clip]}, {})
    for recipe, kinds in (
        (WHOLE, {True, False}),
        (replace(WHOLE, clips=False), {True}),
        (replace(WHOLE, scenes=False), {False}),
    ):
        assert {pick(data, np.random.default_rng(seed), recipe).exact for seed in range(20)} == kinds


def test_stills_errors_and_cameras_are_left_out(scene: TrackSample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion_augment, "SMALL", 0.0)  # of few movers' tracks none may be drawn
    without = replace(WHOLE, stills=False, twins=False, errors=False, cameras=False)
    for seed in range(25):
        drawn = draw(scene, 0, np.random.default_rng(seed), without)
        assert drawn.label.any()
        # Nothing was done to the tracks but to choose, mirror and clamp them.
        known = np.unique(np.abs(np.clip(scene.xy, -1, 1)[..., 1]))
        assert np.isin(np.abs(drawn.xy[..., 1]), known).all()
    stills = [draw(scene, 0, np.random.default_rng(seed)) for seed in range(60)]
    assert any(not sample.label.any() for sample in stills)


def test_views_without_a_track_are_drawn_again(scene: TrackSample) -> None:
    late = scene.visible & (np.arange(scene.visible.shape[1]) == scene.visible.shape[1] - 1)
    data = Data([], [], {"clip": [replace(scene, exact=False, visible=late)]}, {})
    views = [len(drawn(data, np.random.default_rng(seed), WHOLE).label) for seed in range(20)]
    empty = [len(draw(data.clips["clip"][0], 0, np.random.default_rng(seed)).label) for seed in range(20)]
    assert min(views) > min(empty) == 0


@pytest.fixture
def small(scene: TrackSample, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps and evaluations of a fraction of a second, in which everything occurs."""
    seen = draw(scene, 0, np.random.default_rng(0), replace(WHOLE, stills=False))
    data = Data([scene], [], {"a": [replace(seen, exact=False)]}, {"b": [seen], "scenes": [seen]})
    monkeypatch.setattr(motion_recipe, "gather", lambda _: data)
    for module, name, value in (
        (tapir_recipe, "FRAMES", 3),
        (tapir_recipe, "POINTS", 16),
        (tapir_recipe, "evaluate", partial(tapir_recipe.evaluate, scenes=1, points=2)),
        (depth_recipe, "MEASURED", 2),
        (semantics_recipe, "PAIRS", 2),
        (mask_recipe, "IMAGES", 2),
        (mask_recipe, "CORRECTED", 1),
        (mask_clips, "SMALLEST", 1e-4),
        (mask_recipe, "evaluate", partial(mask_recipe.evaluate, cases=1, length=2)),
    ):
        monkeypatch.setattr(module, name, value)


def arguments(network: str, folder: Path) -> list[str]:
    own = ["--stamps", str(davis_like.stamps(folder / "stamps"))] if network == "masks" else []
    return [network, "--data", str(folder / "davis"), *own, "--steps", "1", "-o", str(folder)]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("network", NETWORKS)
def test_the_table_has_every_ingredient(network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    davis_like.davis(tmp_path / "davis")
    file = tmp_path / "ingredients.json"
    file.write_text('{"another": {}}')
    assert ingredients.main(arguments(network, tmp_path)) == 0
    tables = json.loads(file.read_text())
    assert set(tables) == {"another", network}
    found, recipes = tables[network], NETWORKS[network].recipes()
    assert found["steps"] == 1
    assert found["held_out"] == (["b"] if network == "motion" else [davis_like.HELD])
    assert set(found["without"]) == set(recipes) == {"nothing", *vars(recipes["nothing"])}
    assert all(np.isfinite(list(row.values())).all() for row in found["without"].values())
    folder = tmp_path / "ingredients" / f"{network}-1"
    whole = (folder / "nothing.safetensors").read_bytes()
    for name, recipe in recipes.items():
        if network != "motion":  # of whose ingredients some are drawn seldom
            assert ((folder / f"{name}.safetensors").read_bytes() == whole) is (name == "nothing"), name
        state = torch.load(folder / f"{name}.pt", weights_only=True)
        assert len(state["optimisers"]) == 1 + getattr(recipe, "muon", False)
        assert all(torch.equal(state["model"][k], state["average"][k]) for k in state["model"]) is not recipe.averaged
    monkeypatch.setattr(torch.optim.AdamW, "step", None)  # what is trained is not trained again
    assert ingredients.main(arguments(network, tmp_path)) == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_the_whole_recipe_leaves_nothing_out(network: str) -> None:
    recipes = NETWORKS[network].recipes()
    assert all(vars(recipes["nothing"]).values())
    assert all([k for k, v in vars(recipe).items() if not v] == [name] for name, recipe in list(recipes.items())[1:])


def test_what_an_ingredient_or_an_evaluation_needs_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ingredients.main(["masks", "--data", str(tmp_path), "-o", str(tmp_path)])
    assert "--stamps" in capsys.readouterr().err
    data = davis_like.davis(tmp_path / "davis")
    (data / davis_like.HELD).rename(data / "other")
    with pytest.raises(InputError, match="hockey"):
        ingredients.main(["semantics", "--data", str(data), "-o", str(tmp_path)])

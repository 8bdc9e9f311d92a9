"""Each ingredient can be taken out of the motion network's training, and then is not in it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samotion.export.training import ingredients, motion
from samotion.export.training.motion import Data, drawn, pick
from samotion.export.training.motion_augment import WHOLE, draw
from samotion.export.training.motion_data import TrackSample, from_scene


@pytest.fixture(scope="module")
def scene() -> TrackSample:
    return from_scene(5)


def test_samples_come_from_what_the_recipe_has(scene: TrackSample) -> None:
    clip = replace(scene, exact=False)
    data = Data([scene], {"clip": [clip]}, {})
    for recipe, kinds in (
        (WHOLE, {True, False}),
        (replace(WHOLE, clips=False), {True}),
        (replace(WHOLE, scenes=False), {False}),
    ):
        assert {pick(data, np.random.default_rng(seed), recipe).exact for seed in range(20)} == kinds


def test_stills_errors_and_cameras_are_left_out(scene: TrackSample) -> None:
    without = replace(WHOLE, stills=False, errors=False, cameras=False)
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
    data = Data([], {"clip": [replace(scene, exact=False, visible=late)]}, {})
    views = [len(drawn(data, np.random.default_rng(seed), WHOLE).label) for seed in range(20)]
    empty = [len(draw(data.clips["clip"][0], 0, np.random.default_rng(seed)).label) for seed in range(20)]
    assert min(views) > min(empty) == 0


def test_the_table_has_every_ingredient(
    scene: TrackSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = draw(scene, 0, np.random.default_rng(0), replace(WHOLE, stills=False))
    data = Data([scene], {"a": [replace(drawn, exact=False)]}, {"b": [drawn], "scenes": [drawn]})
    monkeypatch.setattr(motion, "gather", lambda _: data)
    arguments = ["--davis", str(tmp_path), "--fold", "0/2", "--steps", "1", "-o", str(tmp_path)]
    assert ingredients.main(arguments) == 0
    found = json.loads((tmp_path / "ingredients.json").read_text())
    assert set(found["without"]) == set(ingredients.RECIPES) == {"nothing", *WHOLE.__dict__}
    assert all(0 < row["clips"] <= 1 for row in found["without"].values())
    weights = {name: (tmp_path / "ingredients" / f"{name}.safetensors").read_bytes() for name in ingredients.RECIPES}
    assert weights["muon"] != weights["nothing"] != weights["averaged"]
    monkeypatch.setattr(motion, "train", None)  # what is trained is not trained again
    assert ingredients.main(arguments) == 0
    with pytest.raises(SystemExit):
        ingredients.main(["--davis", str(tmp_path), "-o", str(tmp_path)])
    assert "--fold K/N" in capsys.readouterr().err

"""Counterfactual clips: masks show what moves, what stands is in none, half of the clips have no mover."""

import numpy as np
import pytest

from samotion.export.training.motion import counterfactuals
from samotion.export.training.motion.counterfactuals import Ingredients, clip, ingredients
from samotion.export.training.photographs import Photographs
from samotion.export.training.stamps import Stamps
from samotion.runtime.values import Bytes


@pytest.fixture
def given() -> Ingredients:
    """A grey picture with some grain, and a red disc."""
    rng = np.random.default_rng(0)
    picture = np.full((240, 427, 3), 128, np.uint8) + rng.integers(0, 8, (240, 427, 1)).astype(np.uint8)
    y, x = np.mgrid[-1:1:80j, -1:1:80j]
    red = np.zeros((80, 80, 3), np.uint8)
    red[..., 0] = 255
    return Ingredients([picture], Stamps([red], [(x**2 + y**2 < 0.9).astype(np.uint8)]))


def test_masks_show_what_moves(given: Ingredients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counterfactuals, "_filmed", lambda _, pictures: pictures.astype(np.uint8))
    empty = 0
    for seed in range(12):
        frames, masks = clip(np.random.default_rng(seed), given, 5)
        again, _ = clip(np.random.default_rng(seed), given, 5)
        np.testing.assert_array_equal(frames, again)
        assert frames.shape == (*masks.shape, 3)
        red = frames[..., 0].astype(int) - frames[..., 1] > 40
        assert (masks & ~red).sum() <= 0.1 * masks.sum()
        empty += not masks.any()
    assert 2 <= empty <= 10


def test_nothing_moves_where_nothing_may(given: Ingredients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counterfactuals, "EMPTY", 1.0)
    assert not any(clip(np.random.default_rng(seed), given, 3)[1].any() for seed in range(6))


def test_things_are_cut_out_of_clips() -> None:
    frames, masks = np.zeros((7, 60, 80, 3), np.uint8), np.zeros((7, 60, 80), np.uint8)
    masks[:, 10:40, 20:50] = 1
    photo: Bytes = np.zeros((540, 960, 3), np.uint8)
    made = ingredients(Photographs([frames], [masks]), [photo], None)
    assert len(made.pictures) == 3
    assert [mask.shape for mask in made.things.masks] == [(30, 30)] * 2

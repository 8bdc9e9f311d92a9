import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.export.networks.sam2 import NANO, Sam2
from samotion.export.training.masks import mask_clips
from samotion.export.training.masks.mask_batches import Supply
from samotion.export.training.masks.mask_clips import CLICKS, clicks, some_clicks
from samotion.export.training.masks.mask_losses import clip_loss, image_loss
from samotion.export.training.masks.tracked_clicks import tracked_clicks
from samotion.export.training.photographs import Photographs
from samotion.runtime.sam2.mask_prompt import LOGIT
from samotion.runtime.values import Bool


def disc(side: int, radius: float) -> Bool:
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.hypot(y - side / 2, x - side / 2) < radius)


@given(seed=st.integers(0, 10_000), radius=st.integers(1, 120), kind=st.sampled_from([(16, 16), (8, 0), (8, 8)]))
@settings(max_examples=60, deadline=None)
def test_clicks_chosen_from_tracks_lie_in_the_image(seed: int, radius: int, kind: tuple[int, int]) -> None:
    found = tracked_clicks(np.random.default_rng(seed), disc(256, radius), *kind)
    if found is None:
        return
    points, labels = found.points, found.labels
    assert 1 <= (labels == 1).sum() <= kind[0]
    assert (labels == 0).sum() <= kind[1]
    assert points.shape == (len(labels), 2)
    assert points.min() >= 0
    assert points.max() < 256
    assert found.votes.shape == (64, 64)
    assert np.abs(found.votes).max() <= LOGIT


def test_votes_of_tracks_draw_the_object_but_for_their_errors() -> None:
    mask, votes = disc(256, 60), []
    for seed in range(100):
        found = tracked_clicks(np.random.default_rng(seed), mask, 16, 16)
        if found is not None:
            votes.append(found.votes)
    coarse = mask.reshape(64, 4, 64, 4).mean((1, 3)) > 0.5
    assert np.mean(votes, axis=0)[coarse].mean() > 2
    assert np.mean(votes, axis=0)[~coarse].mean() < -4
    assert np.mean([((v > 0) != coarse).any() for v in votes]) > 0.9


def test_clicks_chosen_from_tracks_are_mostly_right_but_not_always() -> None:
    mask = disc(256, 60)
    right: dict[int, list[bool]] = {0: [], 1: []}
    for seed in range(200):
        made = tracked_clicks(np.random.default_rng(seed), mask, 16, 16)
        if made is None:
            continue
        points, labels = made.points, made.labels
        inside = mask[points[:, 1].astype(int), points[:, 0].astype(int)]
        for label, found in right.items():
            found.extend((inside == label)[labels == label])
    assert 0.7 < np.mean(right[1]) < 0.97
    assert 0.9 < np.mean(right[0]) < 1


def test_no_track_on_a_tiny_object_means_no_clicks() -> None:
    missed = 0
    for seed in range(50):
        missed += tracked_clicks(np.random.default_rng(seed), disc(256, 1), 16, 16) is None
    assert missed > 10


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_clicks_are_padded_and_repeat(seed: int) -> None:
    mask = disc(256, 50)
    made, again = (some_clicks(np.random.default_rng(seed), mask) for _ in range(2))
    points, labels = made.points, made.labels
    assert points.shape == (CLICKS, 2)
    assert labels.shape == (CLICKS,)
    assert np.array_equal(points, again.points)
    assert np.array_equal(made.votes, again.votes)
    count = int((labels >= 0).sum())
    assert count >= 1
    assert (labels[:count] >= 0).all()
    assert (labels[count:] == -1).all()
    assert not points[count:].any()


def test_drawn_clicks_miss_the_object_as_often_as_asked() -> None:
    mask = disc(256, 40)
    missed = []
    for seed in range(60):
        points, labels = clicks(np.random.default_rng(seed), mask, 16, 0, wrong=0.4)
        at = points[labels == 1].astype(int)
        missed.extend(~mask[at[:, 1], at[:, 0]])
    assert np.mean(missed) == pytest.approx(0.4, abs=0.06)


@pytest.fixture(scope="module")
def supply() -> Supply:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 60, 80, 3), np.uint8)
    masks = np.zeros((6, 60, 80), np.uint8)
    masks[:, 20:45, 30:60] = 1
    return Supply(Photographs([frames, frames], [masks, masks]), None, None, NANO.image_size)


def test_batches_hold_clicked_objects_of_every_example(supply: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_clips, "SMALLEST", 1 / 500)
    batch, _ = supply.batch(3, 3, 2)
    again, _ = supply.batch(3, 3, 2)
    k = len(batch.owner)
    assert batch.frames.shape == (3, 2, 3, NANO.image_size, NANO.image_size)
    assert [points.shape for points in batch.points] == [(k, CLICKS, 2)] * 2
    assert batch.truth.shape == (k, 2, NANO.image_size // 2, NANO.image_size // 2)
    assert bool(batch.there(0).all())
    assert torch.equal(batch.frames, again.frames)


def test_losses_reach_every_part_that_they_train(supply: Supply) -> None:
    torch.manual_seed(0)
    model = Sam2(NANO)
    image, _ = image_loss(model, supply.batch(0, 1, 1)[0], correct=True)
    clip, figures = clip_loss(model, supply.batch(1, 1, 2)[0], None)
    torch.autograd.backward(image + clip)
    for part in ("image_encoder", "sam_mask_decoder", "memory_attention", "memory_encoder"):
        gradients = [p.grad for name, p in model.named_parameters() if name.startswith(part) and p.grad is not None]
        assert sum(float(g.abs().sum()) for g in gradients) > 0, part
    assert 0 <= figures["tracked"] <= 1

"""Scenes: tracks are exact, labels agree with pixels, and every factor can be switched."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.calibration.scenes.camera import Double
from samotion.calibration.scenes.layers import Wobble
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.engines.errors import SettingsError
from samotion.runtime.values import Bool, Bytes, Float

SMALL = SceneSpec(frames=8, height=96, width=128)
seeds = st.integers(0, 10**6)
few = settings(max_examples=15, deadline=None)


def points(spec: SceneSpec, count: int = 200, seed: int = 0) -> Double:
    rng = np.random.default_rng(seed)
    t = rng.integers(0, spec.frames, count).astype(float)
    return np.stack([t, rng.uniform(0, spec.height - 1, count), rng.uniform(0, spec.width - 1, count)], 1)


def at_tracks(values: Bytes, xy: Float) -> tuple[Bytes, Bytes]:
    """Return per-frame maps (T, H, W) at rounded tracks (N, T), and the spread of the 3×3 pixels around."""
    rows, columns = values.shape[1:]
    x, y = (np.clip(np.round(xy[..., i]), 0, n - 1).astype(int) for i, n in enumerate((columns, rows)))
    kernel = np.ones((3, 3), np.uint8)
    spread = np.stack([np.asarray(cv2.morphologyEx(v, cv2.MORPH_GRADIENT, kernel)) for v in values])
    t = np.arange(len(values))
    return values[t, y, x], spread[t, y, x]


def sampled(frames: Bytes, xy: Float) -> Float:
    """Return bilinear colours (N, T, 3) along tracks."""
    columns = [
        np.asarray(cv2.remap(frame, xy[None, :, t, 0].copy(), xy[None, :, t, 1].copy(), cv2.INTER_LINEAR))[0]
        for t, frame in enumerate(frames)
    ]
    return np.stack(columns, 1).astype(np.float32)


@few
@given(seeds)
def test_a_track_passes_through_its_query(seed: int) -> None:
    query = points(SMALL)
    xy, visible, _ = scene(seed, SMALL).tracks(query)
    rows, frame = np.arange(len(query)), query[:, 0].astype(int)
    np.testing.assert_allclose(xy[rows, frame], query[:, :0:-1], atol=1e-4)
    assert visible[rows, frame].all()


@few
@given(seeds)
def test_tracking_back_from_where_a_track_went_gives_the_same_track(seed: int) -> None:
    made = scene(seed, SMALL)
    xy, visible, owner = made.tracks(points(SMALL))
    last = SMALL.frames - 1
    seen = np.flatnonzero(visible[:, last])
    back = np.stack([np.full(len(seen), last), xy[seen, last, 1], xy[seen, last, 0]], 1)
    again, again_visible, again_owner = made.tracks(back)
    # A float32 position on an outline may fall to the layer beside it.
    same = (again_owner == owner[seen]) & (made.owners(back) == made.owners(points(SMALL))[seen])
    assert same.mean() > 0.98
    both = visible[seen] & again_visible & same[:, None]
    np.testing.assert_allclose(again[both], xy[seen][both], atol=0.02)


@few
@given(seeds)
def test_a_visible_interior_point_stays_on_its_instance(seed: int) -> None:
    made = scene(seed, SMALL)
    xy, visible, owner = made.tracks(points(SMALL))
    found, spread = at_tracks(made.instance, xy)
    inner = visible & (spread == 0)
    agree = (found == owner[:, None])[inner]
    assert agree.mean() > 0.998, f"{np.sum(~agree)} of {agree.size}"


@few
@given(seeds)
def test_a_hidden_point_within_the_image_is_under_something_nearer(seed: int) -> None:
    made = scene(seed, replace(SMALL, ground=0, objects=(3, 6), jointed=0))
    query = points(SMALL)
    xy, visible, owner = made.tracks(query)
    inside = ((xy >= 0) & (xy <= np.array([SMALL.width - 1, SMALL.height - 1]))).all(2)
    found, spread = at_tracks(made.instance, xy)
    hidden = inside & ~visible & (spread == 0) & (owner[:, None] > 0) & (found > 0)
    assert (found != owner[:, None])[hidden].mean() > 0.99 if hidden.any() else True


@few
@given(seeds)
def test_colour_along_a_visible_track_is_nearly_constant(seed: int) -> None:
    made = scene(seed, SMALL.plain())
    query = points(SMALL)
    xy, visible, _ = made.tracks(query)
    colours = sampled(made.frames, xy)
    start = colours[np.arange(len(query)), query[:, 0].astype(int)]
    assert np.median(np.abs(colours - start[:, None]).mean(2)[visible]) < 4


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second, other = scene(7, SMALL), scene(7, SMALL), scene(8, SMALL)
    for name in ("frames", "disparity", "instance", "moving"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert first.factors == second.factors
    assert first.frames.tobytes() != other.frames.tobytes()


def test_the_order_of_points_does_not_matter() -> None:
    made, query = scene(3, SMALL), points(SMALL)
    order = np.random.default_rng(1).permutation(len(query))
    for straight, shuffled in zip(made.tracks(query), made.tracks(query[order]), strict=True):
        np.testing.assert_array_equal(np.asarray(straight)[order], shuffled)


def test_shapes_and_types() -> None:
    made = scene(0, SMALL)
    shape = (SMALL.frames, SMALL.height, SMALL.width)
    assert made.frames.shape == (*shape, 3)
    assert made.frames.dtype == made.instance.dtype == np.uint8
    assert made.disparity.shape == made.instance.shape == shape
    assert made.disparity.dtype == np.float32
    assert (made.disparity > 0).all()
    assert made.moving.dtype == np.bool_
    xy, visible, owner = made.tracks(points(SMALL, 5))
    assert (xy.shape, visible.shape, owner.shape) == ((5, 8, 2), (5, 8), (5,))
    assert [a.dtype for a in (xy, visible, owner)] == [np.dtype(d) for d in ("f4", "?", "u1")]


def background_shift(made: Scene, kind: Bool) -> float:
    """Return how far, in pixels, the surfaces of objects of ``kind`` (K,) go on average from their query."""
    query = points(SMALL, 400)
    xy, _, owner = made.tracks(query)
    chosen = np.isin(owner, 1 + np.flatnonzero(kind))
    start = xy[np.arange(len(query)), query[:, 0].astype(int)]
    return float(np.hypot(*(xy - start[:, None])[chosen].reshape(-1, 2).T).mean()) if chosen.any() else 0.0


@pytest.mark.parametrize("seed", range(12))
def test_under_a_still_camera_exactly_the_movers_move(seed: int) -> None:
    made = scene(seed, replace(SMALL, camera=0.0))
    assert background_shift(made, ~made.moving) < 1e-3
    owners = made.tracks(points(SMALL, 400))[2]
    if np.isin(owners, 1 + np.flatnonzero(made.moving)).sum() > 10:
        assert background_shift(made, made.moving) > 0.25


@pytest.mark.parametrize("seed", range(6))
def test_a_camera_alone_moves_nothing(seed: int) -> None:
    made = scene(seed, replace(SMALL, nothing_moves=1.0))
    assert not made.moving.any()
    assert "nothing moves" in made.factors


def test_the_first_object_moves_unless_nothing_may() -> None:
    always = replace(SMALL, nothing_moves=0.0)
    assert all(scene(seed, always).moving.any() for seed in range(5))
    assert not scene(0, replace(always, moving=0.0)).moving.any()


def test_nearer_is_larger_and_objects_stand_before_the_backdrop() -> None:
    made = scene(5, replace(SMALL, ground=0, objects=(3, 3), scenery=(0, 0)).plain())
    for depth, labels in zip(made.disparity, made.instance, strict=True):
        if (labels > 0).any() and (labels == 0).any():
            assert np.median(depth[labels > 0]) > np.median(depth[labels == 0])


@pytest.mark.parametrize("factor", ["blur", "light", "vignette", "noise", "jpeg"])
def test_a_photometric_factor_changes_colours_and_no_label(factor: str) -> None:
    plain = scene(4, SMALL.plain())
    certain: dict[str, Any] = {factor: 1.0}
    struck = scene(4, replace(SMALL.plain(), **certain))
    assert factor in struck.factors
    assert factor not in plain.factors
    assert np.abs(struck.frames.astype(int) - plain.frames).mean() > 0.1
    np.testing.assert_array_equal(struck.instance, plain.instance)
    np.testing.assert_array_equal(struck.disparity, plain.disparity)


BY_REQUEST = ("camouflage", "occluder", "enters", "crosses", "halts")
ACTED = replace(SMALL, frames=12, objects=(2, 2), moving=1.0, nothing_moves=0, camera=0.4).plain()


def asked(spec: SceneSpec, *factors: str) -> SceneSpec:
    certain: dict[str, Any] = dict.fromkeys(factors, 1.0)
    return replace(spec, **certain)


def test_factors_by_request_are_off_by_default_and_named() -> None:
    assert [getattr(SceneSpec(), name) for name in BY_REQUEST] == [0] * 5
    names = {"camouflage", "occluder", "crossing", "halting"}
    assert not names & set().union(*(scene(seed, SMALL).factors for seed in range(8)))
    assert names <= scene(0, asked(ACTED, *BY_REQUEST)).factors
    assert "entering" in scene(0, asked(ACTED, "enters")).factors


@few
@given(seeds)
def test_tracks_are_exact_with_every_factor_by_request(seed: int) -> None:
    made = scene(seed, asked(ACTED, *BY_REQUEST))
    query = points(ACTED)
    xy, visible, owner = made.tracks(query)
    np.testing.assert_allclose(xy[np.arange(len(query)), query[:, 0].astype(int)], query[:, :0:-1], atol=1e-4)
    found, spread = at_tracks(made.instance, xy)
    inner = visible & (spread == 0)
    assert (found == owner[:, None])[inner].mean() > 0.998


@pytest.mark.parametrize("seed", range(4))
def test_camouflage_changes_colours_and_no_label(seed: int) -> None:
    plain, hidden = scene(seed, ACTED), scene(seed, asked(ACTED, "camouflage"))
    np.testing.assert_array_equal(plain.instance, hidden.instance)
    np.testing.assert_array_equal(plain.disparity, hidden.disparity)
    assert (plain.frames != hidden.frames).mean() > 0.5


def test_camouflaged_objects_have_the_colours_behind_them() -> None:
    def contrast(made: Scene) -> float:
        """Return the distance of mean colours on and off the objects, in the objects' spread."""
        on, off = made.frames[made.instance > 0].astype(float), made.frames[made.instance == 0].astype(float)
        return float(np.abs(on.mean(0) - off.mean(0)).mean() / on.std())

    spec = replace(ACTED, scenery=(0, 0))
    pairs = [(contrast(scene(s, asked(spec, "camouflage"))), contrast(scene(s, spec))) for s in range(10)]
    assert np.median([hidden for hidden, _ in pairs]) < 0.6 * np.median([plain for _, plain in pairs])


def test_an_occluder_only_hides() -> None:
    hides = []
    for seed in range(6):
        plain, behind = scene(seed, ACTED), scene(seed, asked(ACTED, "occluder"))
        changed = plain.instance != behind.instance
        assert (behind.instance[changed] == 0).all()
        assert (behind.disparity >= plain.disparity - 1e-6).all()
        hides.append(changed.any())
    assert np.mean(hides) > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_who_enters_late_is_first_unseen_and_then_seen(seed: int) -> None:
    made = scene(seed, replace(asked(ACTED, "enters"), objects=(1, 1), scenery=(0, 0), approach=0))
    assert not made.instance[: ACTED.frames // 3].any()
    assert made.instance[-1].any()


@pytest.mark.parametrize("seed", range(5))
def test_two_cross_halfway(seed: int) -> None:
    made = scene(seed, replace(asked(ACTED, "crosses"), frames=13, moving=1e-9, scenery=(0, 0), jointed=0))
    assert made.moving.tolist() == [True, True]
    middle = [[np.argwhere(frame == k)[:, 1].mean() for k in (1, 2)] for frame in made.instance[[0, -1]]]
    assert middle[0][0] < middle[0][1]
    assert middle[1][0] > middle[1][1]
    left, right = (np.flatnonzero((made.instance[6] > 0).any(axis=0))[[0, -1]]).tolist()
    widths = [np.ptp(np.argwhere(made.instance[t] == k)[:, 1]) for t, k in ((0, 1), (-1, 1), (0, 2), (-1, 2))]
    assert right - left < 2 * max(widths) + 6  # they overlap, or nearly


@pytest.mark.parametrize("seed", range(4))
def test_who_halts_has_moved_and_stands_still_then(seed: int) -> None:
    spec = replace(asked(ACTED, "halts"), frames=24, camera=0.0, objects=(1, 1), speed=2.0)
    made = scene(seed, spec)
    xy, _, owner = made.tracks(points(spec, 400))
    body = xy[owner == 1]
    assert len(body)
    assert np.abs(np.diff(body[:, 19:], axis=1)).max() < 0.05
    assert np.abs(np.diff(body[:, :8], axis=1)).max() > 0.3


@given(st.floats(-5, 5), st.floats(0, 30), st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 50))
def test_a_wobble_is_undone_exactly(strength: float, wave: float, x: float, y: float, time: float) -> None:
    wobble = Wobble((strength, -strength), (wave / 30, wave / 20), (0.3, 0.2), (0.5, 1.0))
    at, t = (np.array([x]), np.array([y])), np.array([time])
    np.testing.assert_allclose(wobble.unbend(*wobble.bend(*at, t), t), at, atol=1e-9)


def test_a_scene_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected at least"):
        SceneSpec(frames=0)
    with pytest.raises(SettingsError, match="objects"):
        SceneSpec(objects=(3, 1))

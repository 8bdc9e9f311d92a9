from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from samotion.engines.bundle import Bundle
from samotion.engines.engine import TensorSpec
from samotion.engines.manifest import DepthInput, SemanticsInput, TrackerInput
from samotion.export.networks.motion.motion_blocks import Attention
from samotion.export.networks.motion.motion_network import NANO, MotionNetwork
from samotion.export.training.motion import motion_augment, other_motions
from samotion.export.training.motion.motion_augment import WHOLE, draw
from samotion.export.training.motion.motion_data import (
    TrackSample,
    clip_files,
    from_scene,
    labels_from_masks,
    variants,
)
from samotion.export.training.motion.motion_recipe import Data, average_precision, balanced_loss, logits_of, pick
from samotion.runtime.ops.global_motion import PIXEL
from samotion.runtime.values import Tracks


@pytest.fixture(scope="module")
def sample() -> TrackSample:
    return from_scene(3)


def test_samples_survive_the_cache(sample: TrackSample, tmp_path: Path) -> None:
    sample.save(tmp_path / "a.npz")
    found = TrackSample.read(tmp_path / "a.npz")
    assert found.exact is sample.exact
    np.testing.assert_array_equal(found.xy, sample.xy)
    np.testing.assert_array_equal(found.label, sample.label)
    np.testing.assert_allclose(found.depth, sample.depth, atol=1e-3)
    assert found.depth.dtype == np.float32


@pytest.mark.parametrize("seed", range(6))
def test_draws_are_as_the_pipeline_hands_them_over(sample: TrackSample, seed: int) -> None:
    tracked = replace(sample, exact=seed % 2 == 0)
    drawn, again = (draw(tracked, 8, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(drawn.xy, again.xy)
    count, frames = drawn.visible.shape
    assert count > 0
    assert drawn.xy.shape == (count, frames, 2)
    assert drawn.semantics.shape in {(count, 8), (count, 0)}
    assert np.abs(drawn.xy).max() <= 1
    assert drawn.visible.any(0).all()
    assert drawn.visible.any(1).all()
    for values in (drawn.visibility, drawn.confidence, drawn.depth):
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.parametrize("how", ["FROZEN", "EMPTIED"])
@pytest.mark.parametrize("seed", range(4))
def test_draws_in_which_nothing_moves(
    sample: TrackSample, monkeypatch: pytest.MonkeyPatch, how: str, seed: int
) -> None:
    monkeypatch.setattr(motion_augment, "FROZEN", float(how == "FROZEN"))
    monkeypatch.setattr(motion_augment, "EMPTIED", float(how == "EMPTIED"))
    monkeypatch.setattr(motion_augment, "moved", lambda drawn, _: drawn)  # the camera
    assert (sample.label == 1).any()
    drawn = draw(replace(sample, exact=False), 8, np.random.default_rng(seed))
    assert len(drawn.label)
    assert not (drawn.label == 1).any()
    if how == "FROZEN":
        assert np.ptp(drawn.xy, axis=1).max() < 3 * PIXEL


def test_labels_come_from_where_visible_points_lie() -> None:
    masks = np.zeros((4, 40, 40), np.bool_)
    masks[:, 10:30, 10:30] = True
    inside, outside, edge, mixed, unseen = (20.0, 20.0), (35.0, 35.0), (10.0, 20.0), (20.0, 20.0), (20.0, 20.0)
    xy = np.tile(np.array([inside, outside, edge, mixed, unseen], np.float32)[:, None], (1, 4, 1))
    xy[3, 2:] = outside
    visible = np.ones((5, 4), np.bool_)
    visible[4] = False
    ones = np.ones((5, 4), np.float32)
    tracks = Tracks(xy, visible, ones, ones, np.zeros(5, np.int64))
    assert labels_from_masks(tracks, masks).tolist() == [1, 0, -1, -1, -1]


@given(frames=st.integers(1, 200), number=st.integers(1, 8), seed=st.integers(0, 99))
def test_variants_stay_inside_their_clip(frames: int, number: int, seed: int) -> None:
    cuts = variants(frames, number, seed)
    assert len(cuts) == number
    for cut in cuts:
        assert cut.start >= 0
        assert 1 <= cut.count <= 90
        assert cut.start + (cut.count - 1) * cut.stride < frames


def test_average_precision() -> None:
    score, truth = np.array([0.9, 0.8, 0.7, 0.1], np.float32), np.array([1, 0, 1, 0])
    assert average_precision(score, truth) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(average_precision(score, np.zeros(4, np.int64)))


def test_unknown_labels_do_not_count() -> None:
    logits, label = torch.tensor([2.0, -1.0, 9.0]), torch.tensor([1, 0, -1])
    torch.testing.assert_close(balanced_loss(logits, label), balanced_loss(logits[:2], label[:2]))
    assert balanced_loss(logits, torch.full((3,), -1)) == 0


def test_training_attends_as_the_graph_does() -> None:
    attention = Attention(16, 2)
    tokens, hidden = torch.randn(3, 5, 16), torch.rand(3, 5) > 0.6
    torch.testing.assert_close(attention.train()(tokens, tokens, hidden), attention.eval()(tokens, tokens, hidden))


def test_a_few_steps_lower_the_loss(sample: TrackSample) -> None:
    torch.manual_seed(0)
    network = MotionNetwork(replace(NANO, dropout=0.0))
    drawn = draw(sample, NANO.semantics, np.random.default_rng(0))
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = balanced_loss(logits_of(network, drawn), torch.from_numpy(drawn.label))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


class StandIn:
    """A bundle whose tracker says that nothing stirs, whose depth is brightness and whose semantics are zeros."""

    def __init__(self) -> None:
        self.digest = "stand-in"
        self.settings = {"max_tracks": 50}
        keys = TensorSpec("keys", "float32", ("B", "h", "w", 8))
        self.manifest = SimpleNamespace(
            tracker=TrackerInput(16),
            depth=DepthInput(28, 14),
            semantics=SemanticsInput(14, None),
            graphs={"semantics": SimpleNamespace(outputs=(keys,))},
        )

    def engine(self, graph: str) -> Callable[..., dict[str, Any]]:
        def answer(**inputs: Any) -> dict[str, Any]:
            if graph == "track_features":
                return {"low": inputs["frames"], "high": inputs["frames"]}
            if graph == "track_queries":
                return {"query_low": inputs["points"], "query_high": inputs["points"]}
            if graph == "track_head":
                xy = np.repeat(inputs["query_low"][:, None, :0:-1], len(inputs["low"]), axis=1)
                sure = np.full(xy.shape[:2], -9, np.float32)
                return {"xy": xy, "occlusion": sure, "expected_distance": sure}
            if graph == "depth":
                return {"disparity": inputs["image"].mean(1)}
            return {"keys": np.zeros((1, 2, 2, 8), np.float32)}

        return answer

    lane = engine

    def spread(self, work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterable[Any]:
        return map(work, parts)


def test_real_clips_become_samples_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 10:30] = 255
    for kind in ("frames", "masks"):
        (tmp_path / "data/clip" / kind).mkdir(parents=True)
    for index in range(24):
        cv2.imwrite(str(tmp_path / f"data/clip/frames/{index:05d}.jpg"), rng.integers(0, 255, (32, 48, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"data/clip/masks/{index:05d}.png"), mask)
    bundle = cast(Bundle, StandIn())
    files = clip_files(tmp_path / "cache", tmp_path / "data", bundle, 2)["clip"]
    first = [file.stat().st_mtime_ns for file in files]
    for file in files:
        sample = TrackSample.read(file)
        assert not sample.exact
        assert sample.xy.shape[0] == 50
        assert sample.semantics.shape == (50, 8)
        pixel = (sample.xy[:, 0] + 1) * [24, 16]
        inside = ((pixel > [13, 11]) & (pixel < [26, 20])).all(1)
        assert (sample.label[inside] == 1).all()
        assert (sample.label[((pixel < [7, 5]) | (pixel > [33, 27])).any(1)] == 0).all()
        assert draw(sample, 8, rng).visible.any()
    assert [
        file.stat().st_mtime_ns for file in clip_files(tmp_path / "cache", tmp_path / "data", bundle, 2)["clip"]
    ] == first


def test_a_camera_that_is_taken_out_leaves_movers_moving(sample: TrackSample) -> None:
    def pace(drawn: TrackSample, chosen: NDArray[np.bool_]) -> float:
        """Return the median step of visible points, in pixels."""
        both = drawn.visible[chosen, 1:] & drawn.visible[chosen, :-1]
        return float(np.median(np.linalg.norm(np.diff(drawn.xy[chosen], axis=1), axis=-1)[both])) / PIXEL

    still, moving = sample.label == 0, sample.label == 1
    pan = np.linspace(0, 0.3, sample.xy.shape[1], dtype=np.float32)
    panned = replace(sample, xy=sample.xy + pan[:, None])
    steadied = other_motions.steadied(panned, np.random.default_rng(0))
    assert pace(steadied, still) < pace(panned, still) / 4
    assert pace(steadied, moving) > pace(steadied, still)


def test_shares_are_of_the_kinds_that_there_are(sample: TrackSample) -> None:
    data = Data([sample], [], {"clip": [replace(sample, exact=False)]}, {})
    rng = np.random.default_rng(0)
    share = np.mean([pick(data, rng, WHOLE).exact for _ in range(400)])
    assert share == pytest.approx(0.4, abs=0.1)
    assert all(pick(data, rng, replace(WHOLE, clips=False)).exact for _ in range(20))

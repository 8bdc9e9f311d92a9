"""The runtime's SAM2 loop in NumPy against the reference loop in PyTorch, both over the same tiny network."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from samotion.engines.bundle import Bundle
from samotion.engines.engine import Array, Engine
from samotion.export.networks.sam2 import HieraParams, Sam2, Sam2Params, graphs
from samotion.export.networks.sam2.reference_loop import Tracker
from samotion.export.presets import masks_input
from samotion.export.weights.load import random_state
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.ops.preprocess import normalised
from samotion.runtime.ops.reference import fill_holes
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank
from samotion.runtime.sam2.predictor import Answer, MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.stages import masks
from samotion.runtime.stages.masks import segment_objects
from samotion.runtime.values import Clip, Float, Prompt, TrackGroup, Tracks

TINY = Sam2Params(
    HieraParams(8, 1, (1, 1, 2, 1), (4, 2, 3, 2), (3,), 3),
    image_size=64,
    width=16,
    memory_width=8,
    memory_frames=4,
    max_pointers=5,
    attention_layers=2,
    attention_feedforward=16,
    decoder_heads=2,
    decoder_feedforward=16,
    iou_width=16,
)
FRAMES = 14


def network(params: Sam2Params, clip: Clip, most_objects: int | None = None) -> tuple[Sam2, MaskPredictor]:
    """Return a model and the runtime over its graphs, run by PyTorch itself, at most so many objects at once."""
    model = Sam2(params).eval()
    model.load_state_dict(random_state(model, 3))

    def engine(name: str) -> object:
        spec = next(spec for spec in graphs(model) if spec.name == name)

        def call(**inputs: Array) -> Mapping[str, Float]:
            objects = [len(inputs[key]) for key in ("points", "memory", "mask") if key in inputs]
            assert most_objects is None or max(objects, default=0) <= most_objects
            tensors = [torch.from_numpy(np.ascontiguousarray(inputs[key])) for key in spec.inputs]
            if spec.inputs[list(spec.inputs)[-1]].ndim == 0:
                tensors[-1] = tensors[-1].reshape(())
            with torch.no_grad():
                answer = spec.module(*tensors)
            tensors = [answer] if isinstance(answer, torch.Tensor) else list(answer)
            return {key: tensor.numpy() for key, tensor in zip(spec.outputs, tensors, strict=True)}

        return call

    bundle = SimpleNamespace(
        manifest=SimpleNamespace(masks=masks_input(params)),
        engine=engine,
        lane=engine,
        spread=map,
        lanes=1,
        most_objects=most_objects,
    )
    return model, MaskPredictor(clip, cast(Bundle, bundle), Settings(), Progress(), HOST)


@pytest.fixture
def clip() -> Clip:
    rng = np.random.default_rng(5)
    wide = rng.integers(0, 256, (64 + FRAMES, 64 + FRAMES, 3), dtype=np.uint8)
    frames = np.stack([wide[t : t + 64, t : t + 64] for t in range(FRAMES)])
    return Clip("c", frames, Fraction(24), (64, 64), np.arange(FRAMES), FRAMES, np.arange(FRAMES) / 24)


def reference(model: Sam2, clip: Clip, clicks: dict[int, Float]) -> dict[int, Any]:
    """Return the masks (H, W) that the reference loop finds, forwards and then backwards."""

    def fill(mask: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([fill_holes(m) for m in mask.numpy()]))

    tracker, found = Tracker(model, FRAMES, fill), {}
    with torch.no_grad():
        encoded = [model.encode(torch.from_numpy(normalised(frame[None]))) for frame in clip.frames]
        for frame in sorted(clicks):
            points = torch.from_numpy(clicks[frame])[None]
            labels = torch.ones(1, len(clicks[frame]), dtype=torch.int64)
            found[frame] = tracker.click(frame, encoded[frame], points, labels).mask
        first = min(clicks)
        for frame in [*range(first + 1, FRAMES), *reversed(range(first))]:
            if frame not in clicks:
                found[frame] = fill(tracker.step(frame, encoded[frame], reverse=frame < first).mask)
    return {frame: mask[0].numpy() for frame, mask in found.items()}


@pytest.mark.parametrize("params", [TINY, replace(TINY, max_clicked=2, click_radius=5.0)])
@pytest.mark.parametrize("clicked", [[3, 5, 9], [0], [13], [6, 7]])
def test_masks_follow_the_reference(
    clip: Clip, params: Sam2Params, clicked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A random network's mask may miss its own click; corrections are not what is compared here.
    monkeypatch.setattr("samotion.runtime.stages.masks.corrective_points", lambda *_: None)
    model, runtime = network(params, clip)
    rng = np.random.default_rng(1)
    points = {frame: rng.uniform(10, 50, (1, 2)).astype(np.float32) for frame in clicked}
    wanted = reference(model, clip, points)
    xy = np.zeros((1, FRAMES, 2), np.float32)
    shown = np.zeros((1, FRAMES), np.bool_)
    for frame, point in points.items():
        xy[0, frame], shown[0, frame] = point[0], True
    tracks = Tracks(xy, shown, shown.astype(np.float32), shown.astype(np.float32), np.zeros(1, np.int64))
    group = TrackGroup(Prompt(clicked[-1], points[clicked[-1]], np.ones(1, np.bool_)), np.ones(1, np.bool_))
    settings = Settings(prompt_step=1)
    found = segment_objects([group], tracks, tracks.select(np.zeros(1, np.bool_)), runtime, settings, Progress())
    for frame in range(FRAMES):
        np.testing.assert_array_equal(found.values[0, frame], runtime.at_frame_size(frame, wanted[frame]), str(frame))
    assert 0 < found.values.mean() < 1


def objects(clicked: list[list[int]]) -> tuple[list[TrackGroup], Tracks]:
    """Return one object a list of clicked frames, each with one track shown there and somewhere else on each."""
    count = len(clicked)
    xy = np.random.default_rng(2).uniform(10, 50, (count, FRAMES, 2)).astype(np.float32)
    shown = np.zeros((count, FRAMES), np.bool_)
    for own, frames in zip(shown, clicked, strict=True):
        own[frames] = True
    groups = [
        TrackGroup(Prompt(frames[0], xy[k, frames[:1]], np.ones(1, np.bool_)), np.arange(count) == k)
        for k, frames in enumerate(clicked)
    ]
    sure = shown.astype(np.float32)
    return groups, Tracks(xy, shown, sure, sure, np.zeros(count, np.int64))


CLICKED = [[0, 3, 6, 9, 12], [3, 4, 5, 6], [6], [0, 1, 6, 13], [3, 9]]


@pytest.mark.parametrize("clicks", [1, 3])
def test_objects_together_are_as_each_alone(clip: Clip, clicks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected: list[bool] = []

    def asked_again(own: list[Answer], pairs: list[Any], network: MaskPredictor) -> None:
        before = [np.array(answer.mask) for answer in own]
        correct(own, pairs, network)
        corrected.extend(
            not np.array_equal(np.array(answer.mask), mask) for answer, mask in zip(own, before, strict=True)
        )

    correct = masks._correct
    monkeypatch.setattr(masks, "_correct", asked_again)
    _, runtime = network(replace(TINY, max_clicked=2), clip)
    groups, tracks = objects(CLICKED)
    settings, none = Settings(prompt_step=1, clicks=clicks), tracks.select(np.zeros(len(groups), np.bool_))
    together = segment_objects(groups, tracks, none, runtime, settings, Progress()).values
    for k, group in enumerate(groups):
        alone = segment_objects([group], tracks, none, runtime, settings, Progress()).values[0]
        np.testing.assert_array_equal(together[k], alone)
    assert bool(corrected) == (clicks == 1)
    assert clicks > 1 or 0 < sum(corrected) < len(corrected)


@pytest.mark.parametrize("clicks", [1, 3])
def test_more_objects_than_fit_are_worked_on_in_groups(clip: Clip, clicks: int) -> None:
    groups, tracks = objects(CLICKED)
    settings, none = Settings(prompt_step=1, clicks=clicks), tracks.select(np.zeros(len(groups), np.bool_))
    whole, parts = (
        segment_objects(groups, tracks, none, network(TINY, clip, most)[1], settings, Progress()).values
        for most in (None, 2)
    )
    assert whole.any()
    # Batches of another size add in another order: a logit next to 0 may fall on the other side.
    assert np.mean(parts != whole) < 1e-4


def test_memories_that_no_frame_reads_are_not_encoded(clip: Clip) -> None:
    _, runtime = network(replace(TINY, max_clicked=2), clip)
    encoded = 0

    def counting(**inputs: Array) -> Mapping[str, Float]:
        nonlocal encoded
        encoded += len(inputs["mask"])
        return inner(**inputs)

    inner, runtime._memory_encoder = runtime._memory_encoder, cast(Engine, counting)

    def run(clicked: list[int]) -> int:
        nonlocal encoded
        encoded = 0
        groups, tracks = objects([clicked])
        none = tracks.select(np.zeros(1, np.bool_))
        segment_objects(groups, tracks, none, runtime, Settings(prompt_step=1, clicks=2), Progress())
        return encoded

    assert run(list(range(FRAMES))) == 0
    # Only the last frame is tracked: it reads the memory_frames - 1 frames before it and is remembered itself.
    assert run(list(range(FRAMES - 1))) == TINY.memory_frames - 1 + 1
    assert run([0]) == FRAMES


def test_objects_are_shared_out_to_lanes_and_memory(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = network(TINY, clip)[1].scheduler
    unread = Memory(lambda: np.zeros(0, np.float32), np.zeros(0, np.float32))
    banks = [MemoryBank({0: unread, 9: unread}) for _ in range(7)]
    each = 2 * 4 * (2 + TINY.memory_frames - 1) * (TINY.image_size // 16) ** 4
    assert scheduler.shares(banks) == ([slice(0, 7)], False)
    scheduler.lanes = 2
    assert scheduler.shares(banks) == ([slice(0, 4), slice(4, 7)], True)
    assert scheduler.shares(banks[:1]) == ([slice(0, 1)], False)
    monkeypatch.setattr("samotion.runtime.sam2.scheduler.SCORES_BYTES", 5 * each)  # two a lane
    assert scheduler.shares(banks) == ([slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)], True)
    monkeypatch.setattr("samotion.runtime.sam2.scheduler.SCORES_BYTES", each)  # not one a lane
    assert scheduler.shares(banks) == ([slice(k, k + 1) for k in range(7)], False)

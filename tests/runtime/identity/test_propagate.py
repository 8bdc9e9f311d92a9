"""Objects that a window did not find: cut off where they drift, known again in time, else dropped."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.engines.bundle import Bundle
from samotion.runtime import pipeline
from samotion.runtime.identity.match import Identified
from samotion.runtime.identity.point_support import cut_drift, group_of, hold
from samotion.runtime.identity.propagate import MOST_WINDOWS, Known, Tail, follow, remember
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.predictor import MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.sources.windows import windows_of
from samotion.runtime.stages.window import Stages
from samotion.runtime.values import Bool, Clip, MotionLabels, ObjectMasks, Tracks, WindowResult

FOLLOWED_IOU = 0.5  # of a square's true masks, by memory alone for ten frames; the shipped bundle reaches 0.73


@settings(deadline=None)
@given(count=st.integers(1, 9), height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_tails_give_back_their_masks(count: int, height: int, width: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((count, height, width)) < 0.5
    for last in range(1, count + 1):
        assert np.array_equal(Tail(masks).last(last), masks[-last:])


def test_what_was_never_seen_is_not_remembered() -> None:
    network = cast(MaskPredictor, SimpleNamespace(limits=SimpleNamespace(memory_frames=5), frames=3))
    seen = Identified(np.zeros((2, 3, 8, 8), np.bool_), np.array([1, 2]), np.array([0, 0]))
    assert remember(seen, network, Settings()) == []


def test_memory_alone_follows_what_shows_no_points() -> None:
    """A chequered square that slides over a smooth picture."""
    rng = np.random.default_rng(0)
    back = cv2.GaussianBlur(rng.integers(60, 200, (120, 160, 3), dtype=np.uint8), (0, 0), 6)
    frames, truth = np.repeat(np.asarray(back, np.uint8)[None], 16, axis=0), np.zeros((1, 16, 120, 160), np.bool_)
    thing = np.kron(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    for t in range(16):
        frames[t, 36:84, 20 + 3 * t : 68 + 3 * t], truth[0, t, 36:84, 20 + 3 * t : 68 + 3 * t] = thing, True
    index = np.arange(16)
    clip = Clip("c", frames, Fraction(24), (120, 160), index, 16, index / 24)
    with Bundle.load() as bundle:
        how = Settings(window=16, overlap=6).override(bundle.settings)
        networks = [Stages(part, bundle, how, Progress(), HOST).network() for part in (clip.part(slice(6)), clip)]
        known = remember(Identified(truth[:, :6], np.array([4]), np.array([0])), networks[0], how)
        found = follow(known, points([-1] * 16), networks[1], 6, how, Progress())
    assert np.array_equal(found.masks[:, :6], truth[:, :6])
    after, true = found.masks[:, 6:], truth[:, 6:]
    assert (after & true).sum() / (after | true).sum() >= FOLLOWED_IOU


def points(*columns: list[int], row: int = 10) -> Tracks:
    """Tracks, each at the given column of every frame; -1 where it is hidden."""
    x = np.array(columns, np.float32)
    xy = np.stack([x, np.full_like(x, row)], axis=-1)
    shown = x >= 0
    ones = shown.astype(np.float32)
    return Tracks(xy, shown, ones, ones, np.zeros(len(x), np.int64))


def box(*lefts: int | None) -> Bool:
    """One object: ten columns wide from the given one on, frame by frame."""
    masks = np.zeros((1, len(lefts), 20, 60), np.bool_)
    for own, left in zip(masks[0], lefts, strict=True):
        if left is not None:
            own[5:15, left : left + 10] = True
    return masks


STILL = [[3] * 6, [5] * 6, [7] * 6, [9] * 6]
ELSEWHERE = [[33] * 6, [35] * 6, [37] * 6, [39] * 6]


def shown_after(masks: Bool, tracks: Tracks) -> list[bool]:
    own = masks[0]
    cut_drift(own, tracks, hold(own[:2], tracks), 2)
    return [bool(x) for x in own.any(axis=(1, 2))]


def test_what_an_object_holds() -> None:
    masks = np.zeros((2, 40, 80), np.bool_)
    masks[:, 5:35, 10:50] = True
    masks[1, :, 10:20] = False
    deep, edge, left, late = [30] * 4, [45] * 4, [15, 15, 15, 15], [-1, -1, 30, 30]
    tracks = points(deep, edge, left, [70] * 4, late, [30, -1, 60, 60], row=20)
    own = hold(masks, tracks)
    assert own.seen.tolist() == [True, True, True, True, False, True]
    assert own.held.tolist() == [True, True, False, False, False, True]
    assert own.core.tolist() == [True, False, False, False, False, True]
    group = group_of(own, tracks, 2, Settings())
    assert group is not None
    assert (group.prompt.frame, group.tracks.tolist()) == (2, own.core.tolist())


def test_an_object_whose_points_never_show_again_is_not_clicked() -> None:
    masks = np.zeros((2, 40, 80), np.bool_)
    masks[:, 5:35, 10:50] = True
    tracks = points([30, 30, -1, -1], [70] * 4, row=20)
    assert group_of(hold(masks, tracks), tracks, 2, Settings()) is None
    assert group_of(hold(masks[:, :, ::-1], tracks), tracks, 2, Settings()) is None
    late = points([30, 30, -1, 31], row=20)
    group = group_of(hold(masks, late), late, 2, Settings())
    assert group is not None
    assert group.prompt.frame == 3


def test_a_mask_that_keeps_its_points_stays() -> None:
    assert all(shown_after(box(0, 0, 0, 1, 1, 2), points(*STILL, *ELSEWHERE)))
    moving = [[3 + 4 * t for t in range(6)], [5 + 4 * t for t in range(6)], [7 + 4 * t for t in range(6)]]
    assert all(shown_after(box(0, 4, 8, 12, 16, 20), points(*moving, *ELSEWHERE)))


def test_a_mask_ends_where_it_slides_off_its_points() -> None:
    assert shown_after(box(0, 0, 0, 2, 30, 0), points(*STILL, *ELSEWHERE)) == [True] * 4 + [False] * 2


def test_a_mask_ends_where_it_grows_over_others() -> None:
    masks = box(0, 0, 0, 0, 0, 0)
    masks[0, 4, :, :] = True
    many = [[column] * 6 for column in range(30, 50, 2)]
    assert shown_after(masks, points(*STILL, *many)) == [True] * 4 + [False] * 2


def test_hidden_objects_and_few_points_say_nothing() -> None:
    assert shown_after(box(0, 0, None, None, 0, 0), points(*STILL)) == [True, True, False, False, True, True]
    assert all(shown_after(box(0, 0, 0, 30, 30, 30), points(*STILL[:2])))
    hidden = [[column, column, -1, -1, -1, -1] for column in (3, 5, 7)]
    assert all(shown_after(box(0, 0, 0, 30, 30, 30), points(*hidden)))


class Script:
    """Stands for the stages: finds in window n what ``found[n]`` says (boxes by left column), on one frame size."""

    found: tuple[tuple[int, ...], ...] = ()
    turn = 0

    def __init__(self, clip: Clip, *_: object) -> None:
        self.clip = clip
        self.progress = Progress()
        self.seconds: dict[str, float] = {}
        self._own = Script.found[Script.turn]
        Script.turn += 1

    def motion(self) -> tuple[Tracks, MotionLabels, None]:
        shown = np.ones((1, len(self.clip.frames)), np.float32)
        tracks = Tracks(np.zeros((*shown.shape, 2), np.float32), shown > 0, shown, shown, np.zeros(1, np.int64))
        return tracks, MotionLabels(np.ones(1, np.float32), np.array([bool(self._own)])), None

    def network(self) -> MaskPredictor:
        return cast(MaskPredictor, SimpleNamespace(frames=len(self.clip.frames)))

    def objects(self, *_: object) -> ObjectMasks:
        return ObjectMasks(np.concatenate([box(*[left] * len(self.clip.frames)) for left in self._own]))

    def timed(self, _: str) -> Any:
        return contextlib.nullcontext()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pipeline's windows without networks: what is followed stays where it was."""

    def remembered(seen: Identified, *_: object) -> list[Known]:
        objects = zip(seen.identities, seen.still, seen.masks, strict=True)
        return [Known(int(name), int(still), {}, Tail(own)) for name, still, own in objects]

    def followed(known: list[Known], _: Tracks, network: MaskPredictor, *__: object) -> Identified:
        masks = [np.repeat(item.tail.last(1), network.frames, axis=0) for item in known]
        stack = np.stack(masks) if masks else np.zeros((0, network.frames, 20, 60), np.bool_)
        names = np.array([item.identity for item in known], np.int64)
        return Identified(stack, names, np.array([item.still + 1 for item in known], np.int64))

    nowhere = ("arrays_for", lambda _: HOST)
    for name, stand_in in (("Stages", Script), ("remember", remembered), ("follow", followed), nowhere):
        monkeypatch.setattr(pipeline, name, stand_in)
    yield
    Script.turn = 0


def identities(*found: tuple[int, ...]) -> list[list[int]]:
    """What the objects of each window are called."""
    Script.found, Script.turn = found, 0
    count = 8 + 6 * (len(found) - 1)
    index = np.arange(count)
    clip = Clip("c", np.zeros((count, 20, 60, 3), np.uint8), Fraction(24), (20, 60), index, count, index / 24)
    how = Settings(window=8, overlap=2)
    pieces: list[WindowResult] = list(pipeline.stream(windows_of(clip, how), cast(Bundle, None), how))
    assert sum(len(piece.clip.frames) for piece in pieces) == count
    return [piece.identities.tolist() for piece in pieces]


@pytest.mark.usefixtures("scripted")
def test_objects_are_known_again_whatever_their_order() -> None:
    assert identities((0, 20, 40), (40, 0, 20), (20, 40, 0)) == [[1, 2, 3]] * 3


@pytest.mark.usefixtures("scripted")
def test_what_is_not_found_is_carried_for_a_while() -> None:
    found = identities((0, 20), (20,), (20,), (20,), (20,))
    assert MOST_WINDOWS == 2
    assert found == [[1, 2], [1, 2], [1, 2], [2], [2]]


@pytest.mark.usefixtures("scripted")
def test_what_is_found_again_in_time_keeps_its_identity() -> None:
    assert identities((0, 20), (20,), (0, 20), (20,), (20,), (20,)) == [[1, 2]] * 5 + [[2]]


@pytest.mark.usefixtures("scripted")
def test_what_comes_back_later_is_new() -> None:
    assert identities((0, 20), (20,), (20,), (20,), (0, 20)) == [[1, 2]] * 3 + [[2], [2, 3]]


@pytest.mark.usefixtures("scripted")
def test_identities_are_not_used_again() -> None:
    assert identities((0,), (), (), (), (0,), (0, 20)) == [[1], [1], [1], [], [2], [2, 3]]

"""Results of made-up masks, in windows, without networks; and a strategy that draws them."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from samotion.runtime.result import Result
from samotion.runtime.values import Clip, Labels, MotionLabels, ObjectMasks, State, Tracks, WindowResult

LENGTH = 3  # frames a window


def made_windows(
    labels: Iterator[Labels] | Labels, length: int = LENGTH, source: tuple[int, int] | None = None, stride: int = 1
) -> Iterator[WindowResult]:
    """Yield windows of ``length`` frames whose objects are the ids in the label maps (H, W), one track a window."""
    start, held = 0, []
    for own in labels:
        held.append(own)
        if len(held) == length:
            yield _window(np.stack(held), start, source, stride)
            start, held = start + length, []
    if held:
        yield _window(np.stack(held), start, source, stride)


def made_result(labels: Labels, length: int = LENGTH, source: tuple[int, int] | None = None) -> Result:
    """Return the result of label maps (T, H, W)."""
    return Result(list(made_windows(labels, length, source)), {"input": {"path": "made"}})


@st.composite
def label_maps(draw: st.DrawFn, most: int = 300, frames: int = 5, smallest: int = 16) -> Labels:
    """Draw label maps (T, H, W) of 0 to ``most`` objects that come and go; some frames show none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, height, width = draw(st.integers(1, frames)), *draw(st.tuples(*[st.integers(smallest, 65)] * 2))
    objects = draw(st.sampled_from([0, 1, 2, 7, most]))
    labels = rng.integers(0, objects + 1, (count, height, width)).astype(np.uint16)
    labels[rng.random(labels.shape) < draw(st.sampled_from([0, 0.5, 0.99]))] = 0
    labels[rng.random(count) < 0.3] = 0
    return labels


def _window(labels: Labels, start: int, source: tuple[int, int] | None, stride: int) -> WindowResult:
    count, height, width = labels.shape
    ids = np.array([identity for identity in np.unique(labels) if identity], np.int64)
    masks = np.array([labels == identity for identity in ids], np.bool_).reshape(len(ids), count, height, width)
    index = (start + np.arange(count, dtype=np.int64)) * stride
    grey = np.add.outer(index % 7, np.add.outer(np.arange(height), np.arange(width))).astype(np.uint8)
    frames = np.repeat(grey[..., None], 3, axis=3)
    fps = Fraction(25)
    clip = Clip("made", frames, fps, source or (height, width), index, start + count, index / float(fps))
    sure = np.ones((1, count), np.float32)
    states = np.where(masks.any(axis=(2, 3)), State.MOVING, State.LOST).astype(np.uint8)
    return WindowResult(
        clip=clip,
        identities=ids,
        masks=ObjectMasks(masks),
        scores=np.full(len(ids), 0.75, np.float32),
        states=states,
        tracks=Tracks(np.full((1, count, 2), 3, np.float32), sure > 0, sure, sure, np.zeros(1, np.int64)),
        labels=MotionLabels(np.full(1, 0.9, np.float32), np.ones(1, np.bool_)),
        start=start,
        seconds={"tracks": 0.1},
        arrived=0.0,
        depth=(index[:, None, None] + np.arange(40).reshape(5, 8)).astype(np.uint8),
    )

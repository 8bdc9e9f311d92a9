"""Streams of kernels: what is read is there, and is not written over while it is read, whatever the streams' pace."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.gpu_stand_in import install

from samotion.engines import device
from samotion.engines.device import Device
from samotion.runtime.ops import cuda_masks, reference
from samotion.runtime.ops.cuda_ops import Gpu
from samotion.runtime.values import Bool, Clip, Float

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def cubins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cubins")


@pytest.fixture(params=[None, 0, 1, 2])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cubins: Path) -> Memory:
    monkeypatch.setenv("SAMOTION_CACHE", str(cubins))
    return install(monkeypatch, request.param)


@pytest.fixture
def gpu(memory: Memory) -> Iterator[Gpu]:  # noqa: ARG001
    device = Device()
    yield Gpu(device)
    device.close()


def logits() -> Float:
    found: Float = RNG.normal(size=(2, 9, 9)).astype(np.float32)
    return found


def test_each_reads_what_was_meant_for_it(gpu: Gpu) -> None:
    """Every array is forgotten as soon as its reader is on its way, and the next of its size takes its place."""
    given = [logits() for _ in range(60)]
    answers = [gpu.filled(gpu.up(array)) for array in given]
    for found, array in zip(answers, given, strict=True):
        np.testing.assert_array_equal(found.numpy(), [reference.fill_holes(mask) for mask in array])


def test_more_uploads_than_pinned_blocks(gpu: Gpu) -> None:
    given = [logits() for _ in range(100)]
    there = [gpu.up(array) for array in given]
    for found, array in zip(there, given, strict=True):
        np.testing.assert_array_equal(gpu.down(found), array)


def test_what_is_large_goes_up_in_pieces(gpu: Gpu, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "PINNED", 1024)
    array = RNG.normal(size=(7, 100)).astype(np.float32)
    there = [gpu.up(array + k) for k in range(4)]
    for k, found in enumerate(there):
        np.testing.assert_array_equal(gpu.down(found), array + np.float32(k))
    assert max(entry[1] for entry in memory.log if entry[0] == "up") == 1024


def test_masks_come_down_in_parts(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a window's mask pixels at once may be more than the kernels' 32 bits count."""
    frames, index = np.zeros((5, 24, 20, 3), np.uint8), np.arange(5)
    clip = Clip("clip", frames, Fraction(24), (24, 20), index, 5, index / 24)
    drawn = [gpu.up(RNG.normal(size=(6, 5)).astype(np.float32)) for _ in range(5)]

    def masks() -> Bool:
        canvas = gpu.easel(clip, follow_edges=False).canvas(1)
        for frame, found in enumerate(drawn):
            canvas.draw(0, frame, found)
        return canvas.masks()

    whole = masks()
    monkeypatch.setattr(cuda_masks, "PART", 2 * 24 * 20)
    np.testing.assert_array_equal(masks(), whole)
    assert 0 < whole.mean() < 1


def test_nothing_is_allocated_for_what_was_forgotten(gpu: Gpu, memory: Memory) -> None:
    for _ in range(3):
        gpu.filled(gpu.up(logits()))
    before = memory.count("alloc"), memory.count("pinned")
    for _ in range(20):
        gpu.filled(gpu.up(logits()))
    assert (memory.count("alloc"), memory.count("pinned")) == before


def test_parts_are_the_array_s_own_memory(gpu: Gpu) -> None:
    array = RNG.normal(size=(5, 3, 2)).astype(np.float32)
    there = gpu.up(array)
    np.testing.assert_array_equal(there[1:4].numpy(), array[1:4])
    np.testing.assert_array_equal(there[2:2].numpy(), array[2:2])
    np.testing.assert_array_equal(there[4][1].numpy(), array[4, 1])
    np.testing.assert_array_equal(there.reshape(5, 6).numpy(), array.reshape(5, 6))
    np.testing.assert_array_equal(np.stack([row.numpy() for row in there]), array)
    part = there[3:]
    del there
    gpu.up(array + 1)  # of the same size: the part still holds the memory
    np.testing.assert_array_equal(part.numpy(), array[3:])
    for wrong in (5, -1, slice(0, 4, 2)):
        with pytest.raises(IndexError):
            part[wrong]
    with pytest.raises(ValueError, match="does not become"):
        part.reshape(7)


def test_frames_and_memories_are_joined(gpu: Gpu) -> None:
    parts = [RNG.normal(size=(n, 4)).astype(np.float32) for n in (2, 1, 3)]
    there = [gpu.up(part) for part in parts]
    np.testing.assert_array_equal(gpu.joined(there).numpy(), np.concatenate(parts))
    rows = [list(part) for part in parts]
    found = gpu.padded([list(part) for part in there], (5, 4)).numpy()
    np.testing.assert_array_equal(found, reference.padded(rows, (5, 4)))
    np.testing.assert_array_equal(gpu.zeros((2, 3)).numpy(), np.zeros((2, 3)))


def test_filtering_may_leave_no_track(gpu: Gpu) -> None:
    far = np.full((70, 3), 50, np.float32)  # logits of what is hidden and uncertain
    xy, asked = RNG.random((70, 3, 2), np.float32), np.zeros(70, np.int64)
    held = gpu.filtered(gpu.up(xy), gpu.up(far), gpu.up(far), asked)
    tracks = gpu.down_tracks(held)
    assert tracks.xy.shape == (0, 3, 2)
    assert tracks.query_frame.dtype == np.int64
    assert gpu.normalised_xy(held.xy, (48, 85)).numpy().shape == (0, 3, 2)
    seen = gpu.down_tracks(gpu.filtered(gpu.up(xy), gpu.up(-far), gpu.up(-far), asked))
    np.testing.assert_array_equal(seen.xy, xy)

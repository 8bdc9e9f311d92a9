"""What SAM2 remembers of one object: the memory bank and the object pointers, and what a frame looks up."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from samotion.engines.manifest import MasksInput
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.values import Float, Int

EMPTY_SLOT = -1
EMPTY_POINTER = np.float32(-1e4)


class Memory:
    """One frame of one object: spatial memory (m, h, w), pointer (d,).

    spatial: the memory, or what returns it when it is first read: with clicks on many frames most never are.
    """

    def __init__(self, spatial: Held | Callable[[], Held], pointer: Held) -> None:
        self._spatial, self.pointer = spatial, pointer

    @property
    def spatial(self) -> Held:
        """The spatial memory (m, h, w)."""
        if callable(self._spatial):
            self._spatial = self._spatial()
        return self._spatial


@dataclass
class MemoryBank:
    """Memories of one object by frame: those of clicked frames, kept for good, and those of tracked ones."""

    clicked: dict[int, Memory] = field(default_factory=dict)
    tracked: dict[int, Memory] = field(default_factory=dict)

    def spatial_slots(self, frame: int, reverse: bool, limits: MasksInput) -> list[tuple[int, Memory]]:
        """Return what ``frame`` attends to as (time, memory).

        Every clicked frame has time 0; of the recent frames the one n back (ahead in reverse) has time n.
        """
        clicked, others = self._split(frame, limits)
        slots = [(0, memory) for memory in clicked.values()]
        for back in range(limits.memory_frames - 1, 0, -1):
            other = frame + back if reverse else frame - back
            if other in others:
                slots.append((back, others[other]))
        return slots

    def pointer_slots(self, frame: int, frames: int, reverse: bool, limits: MasksInput) -> list[tuple[float, Memory]]:
        """Return the object pointers that ``frame`` attends to as (distance in frames, memory).

        Clicked frames count only from the past (the future in reverse); then up to ``pointers`` − 1 recent ones.
        """
        sign = -1 if reverse else 1
        clicked, others = self._split(frame, limits)
        slots = []
        for other, memory in clicked.items():
            distance = (frame - other) * sign
            if distance >= 0:
                slots.append((float(distance), memory))
        for back in range(1, min(frames, limits.pointers)):
            other = frame - back * sign
            if other in others:
                slots.append((float(back), others[other]))
        return slots

    def _split(self, frame: int, limits: MasksInput) -> tuple[dict[int, Memory], dict[int, Memory]]:
        """Return the memories that ``frame`` reads as clicked ones, and all others.

        Where the network reads few clicked frames, it is the last before ``frame``, the first from it on, then
        the nearest; the rest count as tracked.
        """
        if limits.max_clicked is None or len(self.clicked) <= limits.max_clicked:
            return self.clicked, self.tracked
        before = max((other for other in self.clicked if other < frame), default=None)
        after = min((other for other in self.clicked if other >= frame), default=None)
        ranked = sorted(self.clicked, key=lambda other: (other not in (before, after), abs(other - frame)))
        near = ranked[: limits.max_clicked]
        clicked = {other: memory for other, memory in self.clicked.items() if other in near}
        return clicked, self.tracked | {o: memory for o, memory in self.clicked.items() if o not in near}

    def forget(self, frame: int, reach: int, first: int) -> None:
        """Drop tracked memories farther than ``reach`` frames from both ``frame`` and ``first``."""
        self.tracked = {
            other: memory
            for other, memory in self.tracked.items()
            if min(abs(other - frame), abs(other - first)) <= reach
        }


@dataclass(frozen=True)
class Lookup:
    """Memories of K objects, padded to arrays as the memory attention takes them.

    memory (K, M, m, h, w), time (K, M) int64 with EMPTY_SLOT where unused; pointers (K, P, d), pointer_time
    (K, P) with EMPTY_POINTER where unused.
    """

    memory: Held
    time: Int
    pointers: Held
    pointer_time: Float


def look_up(
    banks: list[MemoryBank],
    frame: int,
    frames: int,
    reverse: bool,
    limits: MasksInput,
    arrays: Arrays,
    clicked: int | None = None,
) -> Lookup:
    """Return what the objects of ``banks`` attend to on ``frame`` of a clip of ``frames``.

    clicked: how many clicked frames there is room for, so that lengths stay from frame to frame; None: as many slots
    and pointers as the fullest of ``banks`` needs just now.
    """
    spatial = [bank.spatial_slots(frame, reverse, limits) for bank in banks]
    pointers = [bank.pointer_slots(frame, frames, reverse, limits) for bank in banks]
    slots, width = max(map(len, spatial)), max(1, *map(len, pointers))
    if clicked is not None:
        slots, width = clicked + limits.memory_frames - 1, clicked + limits.pointers - 1
    time = np.full((len(banks), slots), EMPTY_SLOT, np.int64)
    pointer_time = np.full((len(banks), width), EMPTY_POINTER, np.float32)
    for k, (own, own_pointers) in enumerate(zip(spatial, pointers, strict=True)):
        time[k, : len(own)] = [back for back, _ in own]
        pointer_time[k, : len(own_pointers)] = [distance for distance, _ in own_pointers]
    memories = [[memory.spatial for _, memory in own] for own in spatial]
    return Lookup(
        memory=arrays.padded(memories, (slots, *memories[0][0].shape)),
        time=time,
        pointers=arrays.padded(
            [[memory.pointer for _, memory in own] for own in pointers], (width, *spatial[0][0][1].pointer.shape)
        ),
        pointer_time=pointer_time,
    )

"""Which objects go through SAM2's engines together, and which groups of them at the same time."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from samotion.engines.bundle import Bundle
from samotion.runtime.ops.preprocess import batches
from samotion.runtime.sam2.memory_bank import MemoryBank

# Bytes that the attention scores of the objects tracked at once may take; one object is tracked whatever it takes.
SCORES_BYTES = 2**30

Part = TypeVar("Part")
Done = TypeVar("Done")


class Scheduler:
    """Splits the objects of a clip into batches for the engines of ``bundle``.

    steady: leave room for the most clicked frames seen so far, so that shapes stay from frame to frame.
    """

    def __init__(self, bundle: Bundle, steady: bool) -> None:
        self.lanes = bundle.lanes
        self._bundle, self._limits, self._steady = bundle, bundle.manifest.masks, steady
        self._clicked = 1

    def spread(self, work: Callable[[Part], Done], parts: Iterable[Part]) -> Iterator[Done]:
        """Yield ``work(part)`` of every part in order, several at the same time (see Bundle.spread)."""
        return self._bundle.spread(work, parts)

    def groups(self, objects: int) -> list[slice]:
        """Return the slices of ``objects`` that engines take at once (``Bundle.most_objects``)."""
        return list(batches(objects, self._bundle.most_objects or max(1, objects)))

    def shares(self, banks: list[MemoryBank]) -> tuple[list[slice], bool]:
        """Return the slices of ``banks`` to track in a batch each, and whether side by side or one after the other.

        Side by side there is a share for each lane, or several, so that SCORES_BYTES are kept. Where one object a
        lane would be too much, the shares take turns with all threads.
        """
        clicked = max(len(bank.clicked) for bank in banks)
        slots = self._read(clicked) + self._limits.memory_frames - 1
        each = 2 * 4 * slots * (self._limits.size // 16) ** 4  # scores and their softmax, float32
        lanes = self.lanes if self.lanes * each <= SCORES_BYTES and len(banks) > 1 else 1
        most = min(SCORES_BYTES // (each * lanes), -(-len(banks) // lanes))
        return list(batches(len(banks), max(1, most))), lanes > 1

    def room(self, banks: list[MemoryBank]) -> int | None:
        """Return for how many clicked frames to leave room in what is looked up, None for no more than needed."""
        if not self._steady:
            return None
        self._clicked = max(self._clicked, self._read(max(len(bank.clicked) for bank in banks)))
        return self._clicked

    def _read(self, clicked: int) -> int:
        """Return how many of so many clicked frames the network reads."""
        return min(clicked, self._limits.max_clicked or clicked)

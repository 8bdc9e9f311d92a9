"""A bundle that works on one part after the other, each with all threads, as the published programs do."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from samotion.engines.bundle import Bundle
from samotion.engines.engine import Engine

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class OneByOne(Bundle):
    """The same engines without lanes side by side."""

    def lane(self, graph: str) -> Engine:
        """Return the engine with all threads."""
        return self.engine(graph)

    def spread(self, work: Callable[[Part], Answer], parts: Iterable[Part]) -> Iterator[Answer]:
        """Yield ``work(part)`` of every part, one after the other."""
        return map(work, parts)

    @property
    def lanes(self) -> int:
        """One part at a time."""
        return 1

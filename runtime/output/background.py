"""Results written by a thread of its own while the next ones are computed."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from samotion.runtime.console import WRITING

T = TypeVar("T")

WAIT = 0.2  # seconds a handover waits at a time, so that signals are handled in between


class Behind(Generic[T]):
    """Calls ``work`` with one item after the other in a thread of its own; a context manager.

    ``put`` holds up whoever brings an item while another is worked on. An error of ``work`` is raised by the next
    ``put`` or at the end; the end waits for the item that is being worked on.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._item: list[T] = []
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        name = WRITING + threading.current_thread().name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        try:
            self._thread.join()
        except BaseException:  # a signal: what is being cleared away must not be written to any more
            self._thread.join()
            raise
        if error is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Hand ``item`` over."""
        with self._changed:
            self.wait()
            self._item.append(item)
            self._changed.notify_all()

    def wait(self) -> None:
        """Return once all that was handed over is worked on."""
        with self._changed:
            while self._item and self._error is None:
                self._changed.wait(WAIT)
            if self._error is not None:
                raise self._error

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._item or self._ended):
                    self._changed.wait()
                if not self._item:
                    return
            try:
                self._work(self._item[0])
            except BaseException as error:
                self._error = error
            with self._changed:
                self._item.clear()
                self._changed.notify_all()
            if self._error is not None:
                return

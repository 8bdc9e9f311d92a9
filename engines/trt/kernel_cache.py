"""Kernels that TensorRT-RTX compiles on the GPU at hand, kept on disk, so that the next process need not."""

from pathlib import Path
from typing import Any

from samotion.engines.cache import keep


class KeptKernels:
    """What one plan's kernels were compiled to.

    file: where they are kept. RTX holds them against GPU, driver and its own version before it uses them; where they
    do not fit, or are damaged, it compiles again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cache: Any = None
        self._known = b""

    def give(self, config: Any) -> None:
        """Let what runs by ``config``, RTX's, find and leave its kernels here."""
        self._cache = config.create_runtime_cache()
        try:
            found = self._file.read_bytes()
        except OSError:
            found = b""
        if found and self._cache.deserialize(found):
            self._known = found
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Keep them, if there are others than were found."""
        made = self._cache.serialize()
        if made is not None and bytes(memoryview(made)) != self._known:
            keep(self._file, bytes(memoryview(made)))

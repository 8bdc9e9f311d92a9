"""OpenCV by its own code alone, for tests that hold others to its every bit."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def own_code() -> Iterator[None]:
    """Leave out the library that OpenCV calls on Intel's and AMD's processors, which rounds otherwise."""
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)

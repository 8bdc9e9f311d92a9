"""Masks of everything in a video that moves by itself: the runtime of *Segment Any Motion in Videos* (CVPR 2025).

>>> import samotion
>>> with samotion.load() as model:
...     result = model("dog.mp4")
>>> result.masks.shape  # (objects, frames, height, width)

Nothing heavy is imported before it is needed.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samotion.engines.errors import SamotionError
    from samotion.runtime.model import Model, load
    from samotion.runtime.result import MovingObject, Result
    from samotion.runtime.values import Tracks, WindowResult

    __version__: str

# ONNX Runtime's builds look up a host for telemetry, and write into the home folder, as soon as they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "MovingObject": "samotion.runtime.result",
    "Model": "samotion.runtime.model",
    "Result": "samotion.runtime.result",
    "SamotionError": "samotion.engines.errors",
    "Tracks": "samotion.runtime.values",
    "WindowResult": "samotion.runtime.values",
    "load": "samotion.runtime.model",
}
__all__ = ["Model", "MovingObject", "Result", "SamotionError", "Tracks", "WindowResult", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import a public name's home on first use."""
    if name == "__version__":
        from samotion.runtime.version import version

        return version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "SamotionError":
        from samotion.engines.packages import require_packages

        require_packages()  # one line with the command that helps, where OpenCV or ONNX Runtime is missing or broken
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

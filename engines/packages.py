"""The packages that come by an extra: each may be missing, or broken."""

import importlib

from samotion.engines.errors import EngineError

# By module: what it must have (two wheels of one module remove each other's files), how to install, how to repair it.
CV2 = "opencv-python-headless"
MODULES = {
    "cv2": ("resize", f"pip install {CV2}", f"pip uninstall -y opencv-python {CV2} && pip install {CV2}"),
    "onnxruntime": (
        "InferenceSession",
        "pip install 'samotion[cpu]'",
        "pip install --force-reinstall onnxruntime, or onnxruntime-gpu where that is installed",
    ),
}


def require_packages() -> None:
    """Raise EngineError, with the command that helps, unless OpenCV and ONNX Runtime can be imported."""
    for module, (attribute, install, repair) in MODULES.items():
        try:
            getattr(importlib.import_module(module), attribute)
        except Exception as error:  # a broken package raises whatever its loader comes to
            if isinstance(error, ModuleNotFoundError) and error.name == module:
                raise EngineError(f"{module} is not installed", install) from error
            why = " ".join(str(error).split()) or type(error).__name__
            raise EngineError(f"{module} is broken ({why})", repair) from error

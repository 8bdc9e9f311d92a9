"""The packages with compiled parts: each may be missing, or broken."""

import importlib
from types import ModuleType

from samotion.engines.errors import EngineError, SamotionError, SettingsError

# By module: what it must have (two wheels of one module remove each other's files), how to install, how to repair it.
CV2 = "opencv-python-headless"
MODULES = {
    "av": ("open", "pip install av", "pip install --force-reinstall av"),
    "cv2": ("resize", f"pip install {CV2}", f"pip uninstall -y opencv-python {CV2} && pip install {CV2}"),
    "onnxruntime": (
        "InferenceSession",
        "pip install 'samotion[cpu]'",
        "pip install --force-reinstall onnxruntime, or onnxruntime-gpu where that is installed",
    ),
}

# What only some commands need, by module: the extra that installs it.
EXTRAS = dict.fromkeys(("einops", "matplotlib", "onnx", "onnxscript", "polygraphy", "safetensors", "torch"), "export")
EXTRAS["scipy"] = "bench"


def require_packages() -> None:
    """Raise EngineError, with the command that helps, unless all of MODULES can be imported."""
    for module in MODULES:
        require_package(module)


def require_package(module: str) -> ModuleType:
    """Return one of MODULES; raises EngineError, with the command that helps, where it is missing or broken."""
    attribute, install, repair = MODULES[module]
    try:
        found = importlib.import_module(module)
        getattr(found, attribute)
    except Exception as error:  # a broken package raises whatever its loader comes to
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise EngineError(f"{module} is not installed", install) from error
        why = " ".join(str(error).split()) or type(error).__name__
        raise EngineError(f"{module} is broken ({why})", repair) from error
    return found


def require_extra(module: str, extra: str, user: str) -> ModuleType:
    """Return a module that only ``user`` needs; raises SettingsError, with the command that installs ``extra``."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = f"{user} needs {module}, which cannot be imported ({error})"
        raise SettingsError(missing, f"pip install 'samotion[{extra}]'") from error


def explained(error: SamotionError | ModuleNotFoundError) -> SamotionError:
    """Return what to install where a module of an extra is missing; another module's error is raised again."""
    if isinstance(error, SamotionError):
        return error
    if error.name not in EXTRAS:
        raise error
    return EngineError(f"{error.name} is not installed", f"pip install 'samotion[cpu,{EXTRAS[error.name]}]'")

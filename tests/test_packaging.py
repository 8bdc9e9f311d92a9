"""What is installed: a wheel with every module and the shipped files, and a runtime that never loads PyTorch."""

import subprocess
import sys
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder
from tests.support.paths import ROOT

LIGHT = ("runtime", "engines", "calibration", "benchmarks")
IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
heavy = {"torch", "onnx", "onnxscript"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def modules(*folders: str) -> list[str]:
    files = [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return ["samotion." + ".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]


def test_light_folders_never_load_torch_or_onnx() -> None:
    names = modules(*LIGHT)
    assert len(names) > 40
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_every_module_and_the_shipped_files(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    held = set(zipfile.ZipFile(built).namelist())
    wanted = [path for folder in (*LIGHT, "export") for path in (ROOT / folder).rglob("*") if path.is_file()]
    wanted = [
        path for path in wanted if path.suffix in {".py", ".mp4", ".onnx", ".safetensors", ".typed", ".cu", ".h"}
    ]
    missing = [str(path) for path in wanted if f"samotion/{path.relative_to(ROOT).as_posix()}" not in held]
    assert not missing
    assert {"samotion/engines/nano/bundle.json", "samotion/runtime/demo.mp4"} <= held
    assert not [name for name in held if name.startswith(("tests/", "samotion/__init__"))]

"""What is installed: wheels with every module and the shipped files, and a runtime that never loads PyTorch."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
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


def holds_everything(wheel: str) -> None:
    """Hold the names in a wheel to the files of the tree."""
    held = set(zipfile.ZipFile(wheel).namelist())
    shipped = {".py", ".mp4", ".onnx", ".safetensors", ".cu", ".h", ".html", ".css", ".js"}
    files = [path for folder in (*LIGHT, "export") for path in (ROOT / folder).rglob("*") if path.suffix in shipped]
    wanted = {f"samotion/{path.relative_to(ROOT).as_posix()}" for path in files}
    wanted |= {f"samotion/{path.name}" for path in (ROOT / ".dev/samotion").iterdir() if path.suffix}
    assert not wanted - held
    assert {"samotion/engines/nano/bundle.json", "samotion/runtime/demo.mp4"} <= held
    assert [name for name in held if name.endswith("py.typed")] == ["samotion/py.typed"]
    assert not [name for name in held if name.startswith(("tests/", ".dev"))]


def test_a_wheel_from_the_tree(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    holds_everything(built)


def test_a_wheel_from_the_source_distribution(tmp_path: Path) -> None:
    (packed,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    (built,) = WheelBuilder(packed.removesuffix(".tar.gz")).build(directory=str(tmp_path), versions=["standard"])
    holds_everything(built)

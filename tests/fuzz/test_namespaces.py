"""Two containers that share a folder: their process numbers are equal, and must not be taken for a sign of life."""

import subprocess
import sys
from pathlib import Path

import pytest

from samotion.engines.atomic import atomic_folder

WRITER = """
import os, sys, time
from pathlib import Path
from samotion.engines.atomic import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    print(os.getpid(), flush=True)
    time.sleep(float(sys.argv[2]))
"""
APART = ["unshare", "--pid", "--fork", "--kill-child"]


def test_equal_process_numbers(tmp_path: Path) -> None:
    if sys.platform != "linux" or subprocess.run([*APART, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no process namespaces here")
    command = [*APART, sys.executable, "-c", WRITER, str(tmp_path / "bundle")]
    with subprocess.Popen([*command, "60"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        number = first.stdout.readline()
        second = subprocess.run([*command, "0"], capture_output=True, text=True, check=False)
        assert "another process is writing it" in second.stderr
        first.kill()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith("partial")] == [".bundle.partial"]
    third = subprocess.run([*command, "0"], capture_output=True, text=True, check=True)
    assert third.stdout == number
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    with atomic_folder(tmp_path / "bundle"):
        pass

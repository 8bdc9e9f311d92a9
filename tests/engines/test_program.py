"""Closed, full and broken standard streams, Ctrl-C while modules load, and names that no terminal prints."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samotion.engines.program import one_line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors of Unix")

PROGRAM = """
import sys
from samotion.engines.program import run_program, tell

def main():
    print("a note", file=sys.stderr, flush=True)
    return tell("found", "prog")

run_program(main, "prog")
"""
HELP = "from samotion.runtime.cli import entry; import sys; sys.argv[1:] = ['--help']; entry()"


def shell(code: str, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'"$0" -c "$1" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, code], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("redirection", "status", "out", "err"),
    [
        ("", 0, "found\n", "a note\n"),
        (">&-", 0, "", "a note\n"),
        ("2>&-", 0, "found\n", ""),
        ("<&- >&- 2>&-", 0, "", ""),
        (
            ">/dev/full",
            2,
            "",
            "a note\nprog: error: standard output cannot be written (No space left on device)\n",
        ),
        ("2>/dev/full", 0, "found\n", ""),
        (">/dev/full 2>/dev/full", 2, "", ""),
    ],
)
def test_streams_cost_no_traceback(redirection: str, status: int, out: str, err: str) -> None:
    done = shell(PROGRAM, redirection)
    assert (done.returncode, done.stdout, done.stderr) == (status, out, err)


def test_help_into_a_full_disk() -> None:
    done = shell(HELP, ">/dev/full")
    assert done.returncode == 2
    assert done.stderr == "samotion-run: error: standard output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("wait", [0.6, 1.0, 1.5])
def test_ctrl_c_while_modules_load(tmp_path: Path, wait: float) -> None:
    command = [sys.executable, "-m", "samotion.runtime", "--demo", "-o", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not out
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_what_no_terminal_prints_is_escaped() -> None:
    assert one_line("a\nb\x1b[31m \udce9 é×") == "a\\nb\\x1b[31m \\udce9 é×"


@pytest.mark.parametrize(
    ("failure", "status", "line"),
    [
        ("KeyboardInterrupt()", 130, "prog: interrupted"),
        ("EngineError('no room', 'make some')", 2, "prog: error: no room; make some"),
        (
            "ModuleNotFoundError(name='torch')",
            2,
            "prog: error: torch is not installed; pip install 'samotion[cpu,export]'",
        ),
    ],
)
def test_what_ends_a_program_is_one_line(failure: str, status: int, line: str) -> None:
    lines = ("from samotion.engines.errors import EngineError", "def main():", f"    raise {failure}")
    code = "\n".join([*lines, "from samotion.engines.program import run_program", "run_program(main, 'prog')"])
    done = shell(code, "")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"{line}\n")


@pytest.mark.parametrize(("module", "extra"), [("cv2", "opencv-python-headless"), ("torch", "samotion[cpu,export]")])
def test_commands_say_what_is_not_installed(module: str, extra: str, tmp_path: Path) -> None:
    calls = {
        "cv2": "from samotion.benchmarks.__main__ import entry; sys.argv = ['x', '--quick']",
        "torch": f"from samotion.export.cli import entry; sys.argv = ['x', '--preset', 'nano', '-o', '{tmp_path}/b']",
    }
    done = shell(f"import sys; sys.modules['{module}'] = None; {calls[module]}; entry()", "")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"error: {module} is not installed; pip install" in done.stderr
    assert extra in done.stderr

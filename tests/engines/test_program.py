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

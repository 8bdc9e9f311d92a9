"""Runs a program and notes its time and peak memory; small, and in a process of its own for that reason.

On Linux a process's peak memory starts at what its parent held when it was started, so a large parent cannot measure
a small child.
"""

import json
import os
import subprocess
import sys
import time

BEGUN = "SAMOTION_BENCH_BEGUN"  # time.monotonic() of the start, for the program to read


def main() -> int:
    """Run the command after the first argument, write the figures to the file that this names, return its status."""
    file, *command = sys.argv[1:]
    begun = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, BEGUN: repr(begun)})
    _, status, usage = os.wait4(process.pid, 0)  # unlike getrusage, of this very child
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"seconds": time.monotonic() - begun, "peak_memory": peak}, out)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())

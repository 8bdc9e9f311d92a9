"""Nothing phones home: with a fresh home folder a run writes nothing there and opens no socket of the internet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Run in the process before anything else. Python's own sockets are seen here, native ones in /proc/net by the parent.
LIBRARY = """
import socket, sys
def refused(event, arguments):
    if event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6):
        raise SystemExit("opened a socket of the internet")
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise SystemExit("looked up a host")
sys.addaudithook(refused)
import samotion.engines.bundle
import numpy as np
with samotion.engines.bundle.Bundle.load(threads=1) as bundle:
    bundle.engine("memory_encoder")
def sockets():
    return sum(len(open(f"/proc/self/net/{kind}").readlines()) - 1 for kind in ("tcp", "tcp6", "udp", "udp6"))
print(sockets() if sys.argv[1:] else 0)
"""


@pytest.mark.parametrize("apart", [False, True], ids=["with a network", "without"])
def test_a_fresh_home_stays_empty(tmp_path: Path, apart: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", LIBRARY]
    if apart:
        way = ["unshare", "--net"]
        if sys.platform != "linux" or subprocess.run([*way, "true"], check=False, capture_output=True).returncode:
            pytest.skip("no network namespaces here")
        command = [*way, *command, "count"]  # no other process has sockets there
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_", "SAMOTION_"))}
    done = subprocess.run(command, env={**kept, "HOME": str(home)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert list(home.rglob("*")) == []

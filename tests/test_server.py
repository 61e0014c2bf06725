"""The supervisor hears every signal, whenever it comes."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, socket, sys, time
from chunkserve import server

def told_in(who):
    fork = os.fork
    def forked():
        pid = fork()
        if (pid != 0) == (who == "parent"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        elif who == "parent":
            time.sleep(0.3)
        return pid
    os.fork = forked

def run(sock, row):
    time.sleep(600)

told_in(sys.argv[1])
supervisor = server.Supervisor([socket.socket() for _ in range(int(sys.argv[2]))], run)
if sys.argv[1] == "child":  # it dies of it, and so do its successors, until that is too many
    server.QUICK, server.MOST_QUICK_DEATHS = 600.0, 3
sys.exit(supervisor.serve())
"""


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(("who", "status"), [("parent", 0), ("child", 1)])
def test_a_signal_amid_a_fork_is_not_lost(who: str, status: int, workers: int) -> None:
    command = [sys.executable, "-c", SCRIPT, who, str(workers)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == status

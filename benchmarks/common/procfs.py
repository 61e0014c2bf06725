"""What /proc tells about the processes of a group: CPU time, memory, who is who."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
_ZYGOTE = "chunkserve.hdf5.zygote"


@dataclass(frozen=True)
class Stat:
    """One line of /proc/PID/stat.

    Attributes:
        pid: Process id.
        parent: Its parent's.
        group: Its process group's.
        cpu: Seconds it and the children it has buried spent on a CPU.
    """

    pid: int
    parent: int
    group: int
    cpu: float


def members(group: int) -> list[Stat]:
    """The living processes of a process group."""
    return [stat for stat in _all() if stat.group == group]


def _all() -> Iterator[Stat]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path("/proc", name, "stat").read_text(errors="replace")
            except OSError:
                continue
            fields = text[text.rindex(")") + 2 :].split()
            if fields[0] != "Z":
                yield Stat(int(name), int(fields[1]), int(fields[2]), sum(map(int, fields[11:15])) / TICK)


def cpu_seconds(group: int) -> float:
    """CPU time of a group so far, children that ended included."""
    return sum(stat.cpu for stat in members(group))


def wait_until_idle(groups: list[int], seconds: float = 15.0) -> None:
    """Return when processes have worked off what clients no longer wait for, or time is up."""
    deadline = time.monotonic() + seconds
    before = sum(map(cpu_seconds, groups))
    while time.monotonic() < deadline:
        time.sleep(0.2)
        after = sum(map(cpu_seconds, groups))
        if after - before <= 0.02:
            return
        before = after


def peak_memory(pid: int) -> int:
    """The most bytes a process ever had in memory (VmHWM); 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:")), 0)


def forget_peaks(group: int) -> None:
    """Let the peak memory of each process of a group begin anew."""
    for stat in members(group):
        with contextlib.suppress(OSError):
            Path(f"/proc/{stat.pid}/clear_refs").write_text("5")


def roles(group: int) -> dict[int, str]:
    """What each process of a running chunkserve is: ``supervisor``, ``worker``, ``zygote`` or ``reader``."""
    stats = {stat.pid: stat for stat in members(group)}
    zygotes = {pid for pid in stats if _ZYGOTE in _command(pid)}
    found = {}
    for pid, stat in stats.items():
        if pid in zygotes:
            found[pid] = "reader" if stat.parent in zygotes else "zygote"
        elif pid == group:
            found[pid] = "supervisor"
        else:
            found[pid] = "worker"
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""

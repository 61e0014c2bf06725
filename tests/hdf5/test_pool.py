"""Reader processes come and go, alone; whoever asks gets an answer, an error in words, or a refusal, in time."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve import wire
from chunkserve.errors import Busy, Quarantined
from chunkserve.hdf5.pool import ReaderDied, ReaderRefused, Readers
from chunkserve.model import Snapshot
from chunkserve.settings import clean_environment

SCAN = wire.Task(scan=wire.Scan((), 1000, 10.0, 10**6))


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three small files."""
    made = [tmp_path / f"{i}.h5" for i in range(3)]
    for i, path in enumerate(made):
        with h5py.File(path, "w") as file:
            file.attrs["number"] = i
            file.create_dataset("large", (2**27,), "f8", chunks=(2**20,), compression="lzf")
    return made


def number(snapshot: Snapshot) -> int:
    return int(np.frombuffer(snapshot.groups[snapshot.root].attributes[0].data, "<i8")[0])


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def reader_pids(readers: Readers) -> set[int]:
    return children(readers._zygote.pid) if readers._zygote is not None else set()


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie, which whoever adopted it may take its time to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids: set[int], within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(map(runs, pids)):
            return True
        time.sleep(0.01)
    return False


def test_nothing_runs_before_it_is_needed(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers()
    assert readers._zygote is None
    readers.call(open_file(paths[0]), SCAN, Snapshot)
    assert len(reader_pids(readers)) == 1


def test_a_reader_is_kept_for_its_file_and_for_no_other(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=2)
    first, second, third = map(open_file, paths)
    assert number(readers.call(first, SCAN, Snapshot)) == 0
    (pid,) = reader_pids(readers)
    readers.call(first, SCAN, Snapshot)
    assert reader_pids(readers) == {pid}
    assert number(readers.call(second, SCAN, Snapshot)) == 1
    assert reader_pids(readers) > {pid}
    assert number(readers.call(third, SCAN, Snapshot)) == 2  # the one idle for longest makes room
    assert gone({pid})
    assert len(reader_pids(readers)) == 2


def test_a_new_version_of_a_file_gets_a_new_reader(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=4)
    for _ in range(2):
        readers.call(open_file(paths[0]), SCAN, Snapshot)
    assert len(reader_pids(readers)) == 2


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_reader_that_is_killed_is_missed_in_words_and_replaced(make_readers, open_file, paths, signum) -> None:
    readers: Readers = make_readers()
    file, other = open_file(paths[0]), open_file(paths[1])
    readers.call(other, SCAN, Snapshot)
    (neighbour,) = reader_pids(readers)
    readers.call(file, SCAN, Snapshot)
    (pid,) = reader_pids(readers) - {neighbour}
    os.kill(pid, signum)
    with pytest.raises(ReaderDied, match=signal.Signals(signum).name):
        readers.call(file, SCAN, Snapshot)
    assert readers.deaths == 1
    assert number(readers.call(file, SCAN, Snapshot)) == 0
    assert pid not in reader_pids(readers)
    assert neighbour in reader_pids(readers)


def test_a_reader_killed_in_the_middle_of_a_task_fails_that_task(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers()
    file = open_file(paths[0])
    readers.call(file, SCAN, Snapshot)
    (pid,) = reader_pids(readers)
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(readers.call, file, SCAN, Snapshot)
        time.sleep(0.1)
        assert not call.done()
        os.kill(pid, signal.SIGKILL)
        assert isinstance(call.exception(timeout=10), ReaderDied)


def test_a_reader_that_does_not_answer_in_time_is_ended(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(deadline=0.5)
    file = open_file(paths[0])
    readers.call(file, SCAN, Snapshot)
    (pid,) = reader_pids(readers)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ReaderDied, match=r"no answer within 0\.5 s"):
        readers.call(file, SCAN, Snapshot)
    assert gone({pid})


def test_who_is_not_let_in_within_the_deadline_is_told_so(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=1, deadline=1.0)
    file = open_file(paths[0])
    readers.call(file, SCAN, Snapshot)
    (pid,) = reader_pids(readers)
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(readers.call, file, SCAN, Snapshot)
        time.sleep(0.2)
        readers.deadline = 0.1
        with pytest.raises(Busy, match="all reader processes are busy"):
            readers.call(open_file(paths[1]), SCAN, Snapshot)
        os.kill(pid, signal.SIGCONT)
        assert number(stuck.result()) == 0


def test_there_are_never_more_readers_than_the_limit(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=2)
    first, second, third = map(open_file, paths)
    readers.call(first, SCAN, Snapshot)
    (pid,) = reader_pids(readers)
    readers.call(second, SCAN, Snapshot)
    idle = reader_pids(readers) - {pid}
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(readers.call, first, SCAN, Snapshot)
        time.sleep(0.1)
        readers.call(third, SCAN, Snapshot)
        has_made_room = gone(idle)
        alive = len(reader_pids(readers))
        os.kill(pid, signal.SIGCONT)
        stuck.result()
    assert has_made_room
    assert alive == 2


def test_more_memory_than_allowed_is_refused_and_the_reader_lives(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(memory=2**28)
    file = open_file(paths[0])
    task = wire.Task(read=wire.Read((b"large",), (0,), (2**27,)))
    with pytest.raises(ReaderRefused) as caught:
        readers.call(file, task, wire.Values)
    assert caught.value.kind == "memory"
    small = wire.Task(read=wire.Read((b"large",), (0,), (8,)))
    assert readers.call(file, small, wire.Values).data == bytes(64)
    assert readers.deaths == 0


def test_a_zygote_that_is_killed_is_replaced(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers()
    readers.call(open_file(paths[0]), SCAN, Snapshot)
    pids = reader_pids(readers)
    old = readers._zygote.pid
    os.kill(old, signal.SIGKILL)
    assert gone(pids)  # they do not outlive it
    assert number(readers.call(open_file(paths[1]), SCAN, Snapshot)) == 1
    assert readers._zygote.pid != old


def test_no_process_is_left_after_closing(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=3)
    for path in paths:
        readers.call(open_file(path), SCAN, Snapshot)
    pids = reader_pids(readers) | {readers._zygote.pid}
    assert len(pids) == 4
    before = children(os.getpid())
    readers.close()
    assert gone(pids)
    assert children(os.getpid()) == before - pids
    readers.close()  # twice does no harm


def test_no_process_is_left_when_the_worker_dies(tmp_path: Path, paths) -> None:
    code = f"""
import os, time
from chunkserve import wire
from chunkserve.hdf5.pool import Readers
from chunkserve.model import Snapshot
from chunkserve.settings import clean_environment
class File:
    fd, key, swmr = os.open({str(paths[0])!r}, os.O_RDONLY), 1, False
readers = Readers(limit=2, memory=2**30, deadline=30.0, environment=clean_environment())
readers.call(File, wire.Task(scan=wire.Scan((), 10, 1.0, 100)), Snapshot)
print(readers._zygote.pid, *readers._idle, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as worker:
        pids = set(map(int, worker.stdout.readline().split()))
        assert len(pids) == 2
        worker.kill()
    assert gone(pids)


def test_a_forked_child_does_not_end_its_parents_readers(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers()
    file = open_file(paths[0])
    readers.call(file, SCAN, Snapshot)
    pids = reader_pids(readers)
    child = os.fork()
    if not child:
        readers.close()
        os._exit(0)
    os.waitpid(child, 0)
    readers.call(file, SCAN, Snapshot)
    assert reader_pids(readers) == pids


def test_many_threads_share_few_readers(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(limit=2)
    files = [open_file(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        calls = [(i % 3, pool.submit(readers.call, files[i % 3], SCAN, Snapshot)) for i in range(60)]
        assert all(number(call.result()) == i for i, call in calls)
    assert readers.deaths == 0


def test_the_environment_does_not_redirect_libhdf5(make_readers, open_file, paths, monkeypatch) -> None:
    monkeypatch.setenv("HDF5_DRIVER", "no such driver")
    monkeypatch.setenv("HDF5_PLUGIN_PATH", "/nowhere")
    with pytest.raises((ReaderDied, ReaderRefused, Busy, OSError)):
        make_readers(environment=dict(os.environ)).call(open_file(paths[0]), SCAN, Snapshot)
    readers: Readers = make_readers(environment=clean_environment())
    assert number(readers.call(open_file(paths[0]), SCAN, Snapshot)) == 0


def test_a_reader_has_no_core_dump_and_a_bound_on_memory(make_readers, open_file, paths) -> None:
    readers: Readers = make_readers(memory=2**28)
    readers.call(open_file(paths[0]), SCAN, Snapshot)
    (pid,) = reader_pids(readers)
    limits = Path(f"/proc/{pid}/limits").read_text()
    size = int(next(line for line in limits.splitlines() if line.startswith("Max address space")).split()[3])
    used = int(Path(f"/proc/{readers._zygote.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    assert 2**28 <= size <= used + 2**28 + 2**26
    assert next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4] == "0"


def test_datasets_that_end_their_reader_are_left_alone_and_then_the_file(tmp_path: Path, open_store) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        for i in range(7):
            file.create_dataset(f"d{i}", data=np.arange(100), chunks=(50,), compression="gzip")
    store = open_store(tmp_path, merge_below=0, shard_below=0)

    def chunk(i: int) -> int:
        return store.key(3, ("f.h5", f"d{i}", "c", "0"), wait=True).blob.size

    for i in range(3):
        assert chunk(3 + i)  # the others are still served
        (pid,) = reader_pids(store.readers)
        os.kill(pid, signal.SIGSEGV)
        for _ in range(2):
            with pytest.raises(Quarantined, match=rf"f\.h5:d{i} cannot be read: .*SIGSEGV"):
                chunk(i)
        assert store.readers.deaths == i + 1  # the second time nobody tried
    with pytest.raises(Quarantined, match=r"f\.h5:d2"):
        chunk(6)
    assert chunk(3)  # what needs no reader is served
    assert store.readers.deaths == 3
    os.utime(path)
    assert chunk(0)  # another version, another try


def test_a_reader_killed_from_outside_is_not_held_against_its_file(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", data=np.arange(100), chunks=(50,), compression="gzip")
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    store.key(3, ("f.h5", "x", "zarr.json"), wait=True)
    (pid,) = reader_pids(store.readers)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Busy, match=r"f\.h5:x could not be read: .*SIGKILL"):
        store.key(3, ("f.h5", "x", "c", "0"), wait=True)
    assert store.key(3, ("f.h5", "x", "c", "0"), wait=True).blob.size


def test_a_reader_ended_by_somebody_else_is_not_the_fault_of_the_file(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("d", data=np.arange(100), chunks=(50,), compression="gzip")
        file["other"] = 1
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    store.key(3, ("f.h5", "other", "zarr.json"), wait=True)
    (pid,) = reader_pids(store.readers)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Busy, match="SIGKILL"):
        store.key(3, ("f.h5", "d", "c", "0"), wait=True)
    assert store.key(3, ("f.h5", "d", "c", "0"), wait=True).blob.size

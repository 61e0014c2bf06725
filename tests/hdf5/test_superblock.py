"""What the first bytes of a file say about its writers, without libhdf5."""

import io

import h5py
import pytest

from chunkserve.hdf5.superblock import PROBE, Superblock, probe


@pytest.mark.parametrize("userblock", [0, 512, 1024, 4096])
@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_a_superblock_is_found_behind_any_user_block(userblock, libver) -> None:
    data = io.BytesIO()
    with h5py.File(data, "w", libver=libver, userblock_size=userblock):
        pass
    assert probe(data.getvalue()[:PROBE]) == Superblock(writing=False, swmr=False)


def test_writers_are_seen_while_they_write(tmp_path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.flush()
        assert probe(path.read_bytes()) == Superblock(writing=True, swmr=False)
        file.swmr_mode = True
        assert probe(path.read_bytes()) == Superblock(writing=True, swmr=True)
    assert probe(path.read_bytes()) == Superblock(writing=False, swmr=False)


@pytest.mark.parametrize("head", [b"", b"\x89HDF\r\n\x1a", bytes(PROBE), bytes(100) + b"\x89HDF\r\n\x1a\n" + bytes(9)])
def test_other_files_have_none(head) -> None:
    assert probe(head) is None

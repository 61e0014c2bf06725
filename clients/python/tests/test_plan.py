"""The cheaper way is chosen."""

import numpy as np
import pytest

from chunkserve_client.plan import SLICE_PART, Layout, choose
from chunkserve_client.selection import everything, select

SHAPE = (64, 1024, 1024)
FRAMES = Layout((1, 1024, 1024), 2, 2.0)


@pytest.mark.parametrize(
    ("key", "way"),
    [
        (..., "chunks"),
        (3, "chunks"),
        (np.s_[3, :512], "chunks"),
        (np.s_[3, 5], "slice"),
        (np.s_[3, 100:108, 100:108], "slice"),
        (np.s_[:, 500, 500], "slice"),
        (np.s_[..., 5], "slice"),
        (np.s_[:, ::16, ::16], "slice"),
        (np.s_[::2], "chunks"),
        (np.s_[5:5], "nothing"),
    ],
)
def test_large_and_aligned_reads_fetch_chunks_and_thin_ones_do_not(key: object, way: str) -> None:
    assert choose(select(key, SHAPE), 2, FRAMES).way == way


def test_chunks_at_hand_cost_nothing() -> None:
    thin = select(np.s_[3, 5], SHAPE)
    plan = choose(thin, 2, FRAMES, cached=1)
    assert (plan.way, plan.requests, plan.bytes) == ("chunks", 0, 0)


def test_what_cannot_be_decoded_here_is_picked_by_the_server_in_parts() -> None:
    plan = choose(everything(SHAPE), 2, None)
    assert (plan.way, plan.requests) == ("slice", 128 * 2**20 // SLICE_PART)


def test_a_plan_counts_requests_and_bytes() -> None:
    plan = choose(select(np.s_[3:5], SHAPE), 2, FRAMES)
    assert (plan.requests, plan.bytes, plan.selected) == (2, 2 * 2**20, 4 * 2**20)
    assert "100%" in plan.why


def test_many_tiny_chunks_are_not_fetched_one_by_one() -> None:
    assert choose(everything((100_000,)), 4, Layout((10,), 4)).way == "slice"


def test_of_a_shard_the_index_and_a_few_chunks_are_fetched_or_all_of_it() -> None:
    layout = Layout((256, 256), 4, 2.0, key=(1024, 1024))
    few = choose(select(np.s_[:256, :512], (4096, 4096)), 4, layout)
    assert (few.way, few.requests) == ("chunks", 3)
    all_of_two = choose(select(np.s_[:1024, :2048], (4096, 4096)), 4, layout)
    assert (all_of_two.way, all_of_two.requests) == ("chunks", 2)

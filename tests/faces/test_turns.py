"""What many ask for is asked once; what nobody waits for is not asked."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor

import pytest

from chunkserve.errors import Corrupt
from chunkserve.faces.crew import Crew
from chunkserve.faces.respond import Reply
from chunkserve.faces.turns import ClientLeft, Turns
from chunkserve.faces.visit import Visit
from chunkserve.sources.localfile import WouldBlock


@pytest.fixture
def threads() -> Iterator[Executor]:
    """The one thread of a crew."""
    crew = Crew(1, 1)
    yield crew.seat("somebody", heavy=True)
    crew.shutdown()


class Client:
    """One side of a connection."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: object) -> None:
        raise AssertionError(message)


class Question:
    """Work that lasts until it is let go, counts how often it is begun, and whose answer is at hand afterwards."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.error = error
        self.reply: Reply | None = None

    def work(self) -> Reply:
        self.begun += 1
        assert self.go.wait(10)
        if self.error:
            raise self.error
        self.reply = Reply(200, [])
        return self.reply

    def at_hand(self) -> Reply:
        if self.reply is None:
            raise WouldBlock
        return self.reply


async def begun(question: Question) -> None:
    while not question.begun:  # noqa: ASYNC110 - a thread changes it
        await asyncio.sleep(0.01)


def ask(
    turns: Turns, threads: Executor, question: Question, client: Client, key: str = "k"
) -> "asyncio.Task[Reply]":  # fmt: skip
    visit = Visit(client.receive, client.send, threads)
    return asyncio.ensure_future(turns.ask(key, question.work, question.at_hand, visit))


async def test_many_askers_are_one_question(threads: Executor) -> None:
    turns, question = Turns(), Question()
    tasks = [ask(turns, threads, question, Client()) for _ in range(1000)]
    await begun(question)
    question.go.set()
    replies = await asyncio.gather(*tasks)
    assert question.begun == 1
    assert set(map(id, replies)) == {id(question.reply)}


async def test_work_that_nobody_waits_for_is_never_begun(threads: Executor) -> None:
    turns, first, second = Turns(), Question(), Question()
    stays, leaves = Client(), Client()
    kept = ask(turns, threads, first, stays, "first")
    await begun(first)
    dropped = ask(turns, threads, second, leaves, "second")  # the only thread is busy
    await asyncio.sleep(0.05)
    leaves.left.set()
    with pytest.raises(ClientLeft):
        await dropped
    first.go.set()
    assert (await kept).status == 200
    await asyncio.sleep(0.05)
    assert second.begun == 0


async def test_one_who_leaves_does_not_take_the_answer_from_others(threads: Executor) -> None:
    turns, question = Turns(), Question()
    leaves = Client()
    gone = ask(turns, threads, question, leaves)
    stays = ask(turns, threads, question, Client())
    await begun(question)
    leaves.left.set()
    with pytest.raises(ClientLeft):
        await gone
    question.go.set()
    assert (await stays).status == 200
    assert question.begun == 1


async def test_an_error_is_everybodys_own(threads: Executor) -> None:
    turns, question = Turns(), Question(Corrupt("damaged"))
    question.go.set()
    tasks = [ask(turns, threads, question, Client()) for _ in range(5)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, Corrupt) for error in found)
    assert question.begun == 5

"""Taking turns: what many ask for at once is asked once, and what nobody waits for any more is not asked at all."""

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass

from chunkserve import errors
from chunkserve.faces.respond import Reply
from chunkserve.faces.visit import Visit, departure
from chunkserve.sources.localfile import WouldBlock


class ClientLeft(Exception):
    """Nobody is there any more to take the answer."""


@dataclass(eq=False)
class _Turn:
    answer: "asyncio.Future[Reply]"
    waiting: int = 0


class Turns:
    """Questions that are being asked in threads, by what they are about."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, _Turn] = {}

    async def ask(self, key: Hashable, work: Callable[[], Reply], at_hand: Callable[[], Reply], visit: Visit) -> Reply:
        """An answer: of ``work``, in a thread; or, if somebody asks the same already, what is at hand afterwards.

        Args:
            key: Equal for questions with the same answer.
            work: Asks, and takes its time.
            at_hand: Asks without waiting, or raises ``WouldBlock``.
            visit: Of who asks.

        Raises:
            ClientLeft: The client did not wait. Work that has not begun is withdrawn when all have left.
        """
        gone = asyncio.ensure_future(departure(visit.receive))
        try:
            while True:
                turn = self._turns.get(key)
                mine = turn is None
                if turn is None:
                    turn = self._begin(key, work, visit.threads)
                await self._wait(turn, gone)
                if mine:
                    return turn.answer.result()
                with contextlib.suppress(WouldBlock, errors.SourceChanged):
                    return at_hand()
        finally:
            gone.cancel()

    def _begin(self, key: Hashable, work: Callable[[], Reply], threads: Executor) -> _Turn:
        turn = self._turns[key] = _Turn(asyncio.get_running_loop().run_in_executor(threads, work))

        def finished(answer: "asyncio.Future[Reply]") -> None:
            if self._turns.get(key) is turn:
                del self._turns[key]
            if not answer.cancelled():
                answer.exception()  # whoever still waits gets it; if nobody does, it is no news

        turn.answer.add_done_callback(finished)
        return turn

    async def _wait(self, turn: _Turn, gone: "asyncio.Task[None]") -> None:
        turn.waiting += 1
        try:
            await asyncio.wait((turn.answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            turn.waiting -= 1
        if not turn.answer.done():
            if not turn.waiting:
                turn.answer.cancel()
            raise ClientLeft

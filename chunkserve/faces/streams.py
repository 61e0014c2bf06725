"""Bodies that are made while they are sent: in threads, a few parts ahead, no longer than somebody listens."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Executor

from chunkserve.faces.respond import Stream
from chunkserve.faces.turns import ClientLeft
from chunkserve.faces.visit import Receive, departure


async def in_order(stream: Stream, threads: Executor, receive: Receive) -> AsyncGenerator[bytes, None]:
    """The parts of a stream. The next ones are made when one is taken, so that a slow client holds up the work.

    Args:
        stream: Makes them.
        threads: Where they are made.
        receive: Tells when the client leaves (ASGI).

    Raises:
        ClientLeft: It did. What is under way is finished, nothing more is begun.
        Exception: What making a part raised.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(departure(receive))
    under_way: deque[asyncio.Future[bytes]] = deque()
    try:
        while True:
            for make in itertools.islice(stream.parts, stream.ahead - len(under_way)):
                part = loop.run_in_executor(threads, make)
                part.add_done_callback(lambda done: done.cancelled() or done.exception())
                under_way.append(part)
            if not under_way:
                return
            await asyncio.wait((under_way[0], gone), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientLeft
            yield under_way.popleft().result()
    finally:
        gone.cancel()
        for part in under_way:
            part.cancel()

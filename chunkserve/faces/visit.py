"""Somebody who asks, and what is done for them."""

from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Visit(NamedTuple):
    """A request under way.

    Attributes:
        receive: Tells when the client leaves (ASGI).
        send: Takes the answer (ASGI).
        threads: Do what takes its time.
    """

    receive: Receive
    send: Send
    threads: Executor


async def departure(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass

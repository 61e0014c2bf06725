"""Replies over ASGI: bodies in parts, no faster than the client takes them, no longer than it listens."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chunkserve import errors
from chunkserve.faces.respond import Reply, Request
from chunkserve.faces.streams import in_order
from chunkserve.faces.turns import ClientLeft, Receive, departure
from chunkserve.service.blob import Blob
from chunkserve.sources.localfile import WouldBlock

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

PART = 2**20
"""Bytes read and sent at once; what a slow reader holds in memory."""

log = logging.getLogger("chunkserve.http")


class Sending:
    """Sends replies."""

    def __init__(self, threads: ThreadPoolExecutor, error: Callable[[Request, Exception], Reply]) -> None:
        """Read bodies in ``threads``; reply with ``error`` while nothing is sent yet."""
        self._threads = threads
        self._error = error

    async def __call__(self, request: Request, reply: Reply, receive: Receive, send: Send) -> None:
        """Send a reply.

        Raises:
            ClientLeft: Nobody is there any more to take it.
        """
        if request.method == "HEAD" or (reply.stream is None and reply.start == reply.stop):
            await _begin(send, reply)
            await send({"type": "http.response.body", "body": b""})
        elif reply.stream is not None:
            await self._stream(request, reply, receive, send)
        else:
            await self._blob(request, reply, receive, send)

    async def _blob(self, request: Request, reply: Reply, receive: Receive, send: Send) -> None:
        blob, at, stop = reply.blob, reply.start, reply.stop
        try:
            part = await self._read(blob, at, min(stop, at + PART))
        except Exception as error:  # noqa: BLE001 - nothing is sent yet
            await self(request, self._error(request, error), receive, send)
            return
        await _begin(send, reply)
        gone = asyncio.ensure_future(departure(receive)) if stop - at > PART else None
        try:
            while gone is None or not gone.done():
                at += len(part)
                await send({"type": "http.response.body", "body": part, "more_body": at < stop})
                if at >= stop:
                    return
                part = await self._read(blob, at, min(stop, at + PART))
        except errors.ChunkserveError as error:
            _cut_short(request, error)
        finally:
            if gone is not None:
                gone.cancel()

    async def _stream(self, request: Request, reply: Reply, receive: Receive, send: Send) -> None:
        assert reply.stream is not None
        begun = False
        try:
            async with contextlib.aclosing(in_order(reply.stream, self._threads, receive)) as parts:
                async for part in parts:
                    if not part:
                        continue
                    if not begun:
                        await _begin(send, reply)
                        begun = True
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes a reply, or its last part
            if not begun:
                await self(request, self._error(request, error), receive, send)
            elif reply.stream.failed is not None:
                await send({"type": "http.response.body", "body": reply.stream.failed(error)})
            else:
                _cut_short(request, error)
            return
        await send({"type": "http.response.body", "body": b""})

    async def _read(self, blob: Blob, start: int, stop: int) -> memoryview:
        try:
            return blob.read(start, stop, wait=False)
        except WouldBlock:
            read = functools.partial(blob.read, start, stop)
            return await asyncio.get_running_loop().run_in_executor(self._threads, read)


async def _begin(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.head})


def _cut_short(request: Request, error: Exception) -> None:
    """Say so; the server closes the connection: the client sees too few bytes, never wrong ones."""
    log.warning("answer cut short: %s: %s", request.shown, error)

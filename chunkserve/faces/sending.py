"""Replies over ASGI: bodies in parts, no faster than the client takes them, no longer than it listens."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from chunkserve import errors
from chunkserve.faces.respond import Reply, Request
from chunkserve.faces.streams import in_order
from chunkserve.faces.turns import ClientLeft
from chunkserve.faces.visit import Send, Visit, departure
from chunkserve.service.blob import Blob
from chunkserve.sources.localfile import WouldBlock

PART = 2**20
"""Bytes read and sent at once; what a slow reader holds in memory."""

log = logging.getLogger("chunkserve.http")


class Sending:
    """Sends replies."""

    def __init__(self, error: Callable[[Request, Exception], Reply]) -> None:
        """Reply with ``error`` while nothing is sent yet."""
        self._error = error

    async def __call__(self, request: Request, reply: Reply, visit: Visit) -> None:
        """Send a reply.

        Raises:
            ClientLeft: Nobody is there any more to take it.
        """
        if request.method == "HEAD" or (reply.stream is None and reply.start == reply.stop):
            await _begin(visit.send, reply)
            await visit.send({"type": "http.response.body", "body": b""})
        elif reply.stream is not None:
            await self._stream(request, reply, visit)
        else:
            await self._blob(request, reply, visit)

    async def _blob(self, request: Request, reply: Reply, visit: Visit) -> None:
        blob, at, stop = reply.blob, reply.start, reply.stop
        try:
            part = await _read(blob, at, min(stop, at + PART), visit.threads)
        except Exception as error:  # noqa: BLE001 - nothing is sent yet
            await self(request, self._error(request, error), visit)
            return
        await _begin(visit.send, reply)
        gone = asyncio.ensure_future(departure(visit.receive)) if stop - at > PART else None
        try:
            while gone is None or not gone.done():
                at += len(part)
                await visit.send({"type": "http.response.body", "body": part, "more_body": at < stop})
                if at >= stop:
                    return
                part = await _read(blob, at, min(stop, at + PART), visit.threads)
        except errors.ChunkserveError as error:
            _cut_short(request, error)
        finally:
            if gone is not None:
                gone.cancel()

    async def _stream(self, request: Request, reply: Reply, visit: Visit) -> None:
        assert reply.stream is not None
        begun = False
        try:
            async with contextlib.aclosing(in_order(reply.stream, visit.threads, visit.receive)) as parts:
                async for part in parts:
                    if not part:
                        continue
                    if not begun:
                        await _begin(visit.send, reply)
                        begun = True
                    await visit.send({"type": "http.response.body", "body": part, "more_body": True})
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes a reply, or its last part
            if not begun:
                await self(request, self._error(request, error), visit)
            elif reply.stream.failed is not None:
                await visit.send({"type": "http.response.body", "body": reply.stream.failed(error)})
            else:
                _cut_short(request, error)
            return
        await visit.send({"type": "http.response.body", "body": b""})


async def _read(blob: Blob, start: int, stop: int, threads: Executor) -> memoryview:
    try:
        return blob.read(start, stop, wait=False)
    except WouldBlock:
        read = functools.partial(blob.read, start, stop)
        return await asyncio.get_running_loop().run_in_executor(threads, read)


async def _begin(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.head})


def _cut_short(request: Request, error: Exception) -> None:
    """Say so; the server closes the connection: the client sees too few bytes, never wrong ones."""
    log.warning("answer cut short: %s: %s", request.shown, error)

"""A keep-alive HTTP client, for everything that is not load."""

import http.client
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.common.errors import Wrong
from benchmarks.common.processes import HOST


class Answer(NamedTuple):
    """A status, headers by lower-case name, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection to a server on this machine; opened again when the server closes it."""

    def __init__(self, port: int, timeout: float = 60.0, headers: Mapping[str, str] | None = None) -> None:
        """Connect to ``port`` at the first request; wait at most ``timeout`` seconds for each step.

        All requests have ``headers``.
        """
        self._headers = dict(headers or {})
        self._connection = http.client.HTTPConnection(HOST, port, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, byte_range: str = "") -> Answer:
        """Ask for a path, or a range of it.

        Raises:
            OSError, http.client.HTTPException: There is no answer, or not a whole one.
        """
        headers = self._headers | ({"Range": byte_range} if byte_range else {})
        try:
            self._connection.request("GET", path, headers=headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def body(self, path: str, byte_range: str = "") -> bytes:
        """The body of a good answer.

        Raises:
            Wrong: The answer is another one.
        """
        answer = self.get(path, byte_range)
        if answer.status not in (200, 206):
            raise Wrong(f"{answer.status} for {path} {byte_range}: {answer.body[:200].decode(errors='replace')}")
        return answer.body

    def json(self, path: str) -> Any:
        """A JSON document."""
        return json.loads(self.body(path))

"""Single flight: of many threads that want the same thing, one makes it and all get it."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Flight:
    """Calls in progress, by key. An error is given to everybody who waited, and not remembered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[Hashable, Future[Any]] = {}
        self.made = self.joined = 0

    def run(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of ``make()``, or of the call already under way for ``key``."""
        with self._lock:
            call = self._calls.get(key)
            mine = call is None
            if call is None:
                call = self._calls[key] = Future()
            self.made += mine
            self.joined += not mine
        if not mine:
            return call.result()  # type: ignore[no-any-return]  # futures of one key share a type
        try:
            result = make()
        except BaseException as error:
            call.set_exception(error)
            raise
        else:
            call.set_result(result)
            return result
        finally:
            with self._lock:
                del self._calls[key]

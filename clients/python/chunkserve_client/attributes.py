"""Attributes of a node, as h5py gives them."""

from collections.abc import Iterator, Mapping
from typing import Any

from chunkserve_client.types import Message, attribute


class Attributes(Mapping[str, Any]):
    """Attributes by name. Text is ``str``; what the server left out raises when it is asked for."""

    def __init__(self, messages: Mapping[str, Message]) -> None:
        """Of the messages of a header."""
        self._messages = messages

    def __getitem__(self, name: str) -> Any:
        try:
            message = self._messages[name]
        except KeyError:
            raise KeyError(f"there is no attribute {name!r}; there are {', '.join(self._messages) or 'none'}") from None
        return attribute(message)

    def __iter__(self) -> Iterator[str]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, name: object) -> bool:
        return name in self._messages

    def __repr__(self) -> str:
        return f"<attributes {', '.join(self._messages)}>"

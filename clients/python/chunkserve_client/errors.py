"""What can go wrong, each with what to do about it.

ClientError
├── NotFound (KeyError)      nothing of this name is served
├── NotAllowed               a token is missing, or may not see this
├── FileChanged              the file is another one since it was opened
├── Busy                     the server had no time within our patience
├── Unreachable              no answer within our patience
├── TooMuch                  the request exceeds a limit of the server
├── Damaged                  stored bytes, or an answer, are not what they say
├── NotSupported             the server, or the file's filters, cannot do this
└── BadRequest (ValueError)  the server does not understand what was asked
"""

from collections.abc import Mapping


class ClientError(Exception):
    """Base of all errors of this package.

    Attributes:
        url: What was asked for, empty if that does not matter.
    """

    def __init__(self, message: str, url: str = "") -> None:
        """Say what is wrong, and what to do."""
        super().__init__(message)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        return f"{self.message} ({self.url})" if self.url else self.message

    def __reduce__(self) -> tuple[type["ClientError"], tuple[str, str]]:
        return type(self), (self.message, self.url)


class NotFound(ClientError, KeyError):
    """Nothing of this name is served."""


class NotAllowed(ClientError):
    """The server wants a token, or another one."""


class FileChanged(ClientError):
    """The file was replaced or written to since it was opened."""


class Busy(ClientError):
    """The server kept saying that it is busy."""


class Unreachable(ClientError):
    """There was no answer."""


class TooMuch(ClientError):
    """The request exceeds a limit of the server."""


class Damaged(ClientError):
    """Stored bytes are damaged, or an answer was."""


class NotSupported(ClientError):
    """The server or the file's filters cannot do this."""


class BadRequest(ClientError, ValueError):
    """The server does not understand what was asked."""


STATUS: Mapping[int, tuple[type[ClientError], str]] = {
    400: (BadRequest, ""),
    401: (NotAllowed, "pass token=, or set CHUNKSERVE_TOKEN"),
    403: (NotAllowed, "ask the data's owner, or pass another token="),
    404: (NotFound, "ls() and keys() say what there is"),
    405: (NotSupported, "the server may be older than this client"),
    410: (FileChanged, "open it again to read what is there now"),
    413: (TooMuch, "ask for less at once, or for a coarser level"),
    422: (Damaged, "the file cannot be read as HDF5"),
    429: (Busy, "try again later"),
    500: (ClientError, "the server's log says more"),
    501: (NotSupported, ""),
    502: (Damaged, ""),
    503: (Busy, "try again later, or raise patience="),
    504: (Busy, "try again later, or raise patience="),
}
"""Status to error, and what to do."""


def error_of(status: int, detail: str, url: str) -> ClientError:
    """The error for an answer's status."""
    kind, advice = STATUS.get(status, (ClientError, ""))
    return kind("; ".join(filter(None, (detail or f"status {status}", advice))), url)

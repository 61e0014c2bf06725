"""Every deliberate error, with fields and without HTTP.

    ChunkserveError
    ├── NotFound              nothing visible has that name
    │   ├── NoPermission      a file is there, and this server may not read it
    │   └── Hidden            whether it is there or not, whoever asks may not see it
    ├── Unauthenticated       a credential is shown, and it is not good
    ├── Gone                  a pinned version is no longer the current one
    ├── BadRequest            the request itself is malformed
    ├── TooLarge              a limit from the settings was exceeded; says which
    ├── Unsupported           the file is fine, but this dataset needs what is not here
    ├── Unreadable            the file cannot be read as HDF5, and that will not change
    │   └── Quarantined       this version of the file killed or stalled its reader
    ├── Corrupt               stored bytes contradict the file's own metadata
    ├── MissingSource         a virtual dataset or link draws from something that is not there
    └── TryAgain              a retry may succeed; carries the seconds to wait
        ├── SourceChanged     the file changed while it was read
        ├── StorageFault      the storage answered an error (EIO, ESTALE, ...)
        └── Busy              a bounded resource is used up

What each means over HTTP is one table in ``chunkserve.faces.problems``.
"""


class ChunkserveError(Exception):
    """The base of all errors raised on purpose."""


class NotFound(ChunkserveError):
    """Nothing is there, or nothing the caller may see: the two are not told apart."""

    def __init__(self, path: str = "") -> None:
        super().__init__(f"not found: {path}" if path else "not found")
        self.path = path


class NoPermission(NotFound):
    """The file's mode keeps the server from reading it."""


class Hidden(NotFound):
    """Access rules hide it: said before anybody looks whether it is there."""


class Unauthenticated(ChunkserveError):
    """The credential is not one of ours, has expired or was revoked. Why is said to the log alone."""

    def __init__(self, reason: str = "") -> None:
        super().__init__("the credential is invalid or has expired: log in again, or leave it out")
        self.reason = reason


class Gone(ChunkserveError):
    """The pinned version is not current; it never will be again."""

    def __init__(self, pinned: str, path: str) -> None:
        super().__init__(f"version {pinned} of {path} is gone; open the URL without ';v=' for the current one")
        self.pinned, self.path = pinned, path


class BadRequest(ChunkserveError):
    """The request is malformed; the message says what would be right."""


class TooLarge(ChunkserveError):
    """The work asked for exceeds a limit; ``setting`` names it, if it can be set."""

    def __init__(self, what: str, size: int, limit: int, setting: str = "", advice: str = "") -> None:
        named = f" (setting {setting})" if setting else ""
        super().__init__(f"{what} of {size} bytes exceeds the limit of {limit}{named}{advice and '; '}{advice}")
        self.size, self.limit, self.setting = size, limit, setting


class Unsupported(ChunkserveError):
    """This dataset needs something this server does not have, for example a filter."""


class Unreadable(ChunkserveError):
    """The bytes are there but are not HDF5 that can be understood."""


class Quarantined(Unreadable):
    """This version of the file ended its reader process."""


class Corrupt(ChunkserveError):
    """Stored bytes contradict the metadata: a wrong length, header or checksum."""


class MissingSource(ChunkserveError):
    """A source of a virtual dataset, an external file or a link target is not readable."""


class TryAgain(ChunkserveError):
    """The request may succeed later; ``retry_after`` is in seconds."""

    retry_after = 1


class SourceChanged(TryAgain):
    """The file was replaced, rewritten or extended while it was being read."""


class StorageFault(TryAgain):
    """The storage failed: this says nothing about whether the data exist."""

    retry_after = 5


class Busy(TryAgain):
    """A bounded resource (readers, memory in flight) is used up."""

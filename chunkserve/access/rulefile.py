"""The file that the rules stand in: read again when it has changed; one that cannot be read changes nothing."""

import logging
import os
import threading
import tomllib
from dataclasses import dataclass

from chunkserve.access.options import AccessOptions, read_options, rules_of
from chunkserve.access.rules import Rules
from chunkserve.errors import BadRequest

SECTION = "access"

log = logging.getLogger("chunkserve.access")

Identity = tuple[int, int, int, int]


@dataclass(frozen=True)
class Configuration:
    """What the file says."""

    options: AccessOptions
    rules: Rules


class RuleFile:
    """The rules in force. Thread-safe.

    Attributes:
        current: What the file said when it was last good.
    """

    def __init__(self, path: str) -> None:
        """Read the file.

        Raises:
            BadRequest: It cannot be read, or is not understood.
        """
        self.path = path
        self._lock = threading.Lock()
        self._seen = self._identity()
        self._read = self._seen
        self.current = self._load()

    def refresh(self) -> bool:
        """Look whether the file has changed, and take it if it is good; whether there are new rules.

        A change is taken when a second look finds it unchanged: an editor may be in the middle of it.
        """
        with self._lock:
            seen = self._identity()
            settled, self._seen = seen == self._seen, seen
            if seen == self._read or not settled:
                return False
            self._read = seen
            try:
                self.current = self._load()
            except BadRequest as error:
                log.error("access rules are NOT changed, the file is wrong: %s", error)  # noqa: TRY400
                return False
        log.warning("access rules changed: %s", self.path)
        return True

    def _identity(self) -> Identity | None:
        try:
            info = os.stat(self.path)
        except OSError:
            return None
        return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns

    def _load(self) -> Configuration:
        try:
            with open(self.path, "rb") as file:
                document = tomllib.load(file)
        except OSError as error:
            raise BadRequest(f"cannot read {self.path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"{self.path}: {error}") from None
        section = document.get(SECTION)
        if not isinstance(section, dict):
            # also what an emptied file looks like: nothing is opened by accident
            raise BadRequest(f"{self.path}: there is no [access] section; to serve openly, restart without it")
        options = read_options(section, self.path)
        return Configuration(options, rules_of(options))

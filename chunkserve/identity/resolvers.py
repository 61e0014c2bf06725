"""Resolvers: catalogues that say which file an identifier means, who may see it, and when it is released.

A kind of resolver is an entry point of the group ``chunkserve.resolvers``: a class made from its options, with the
methods of :class:`Resolver`.
"""

import math
import time
from collections.abc import Hashable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

import httpx
import msgspec

from chunkserve.access.options import ResolverOptions
from chunkserve.access.pattern import Parts
from chunkserve.access.principal import Action, Principal
from chunkserve.access.rules import Decision
from chunkserve.cache.recent import Recent
from chunkserve.errors import BadRequest, NotFound, TryAgain, Unauthenticated

GROUP = "chunkserve.resolvers"

ANSWERS = 65_536
"""Answers remembered."""

MOST_ANSWER = 2**20
"""Bytes of an answer."""


class CatalogueFault(TryAgain):
    """A catalogue does not answer: nobody can say what may be seen."""

    retry_after = 5


class Answer(NamedTuple):
    """What a catalogue says of a file.

    Attributes:
        path: Its name below the roots.
        actions: What the one who asked may do.
        release: When everybody may, in seconds since 1970; ``nan`` if never, or if the date cannot be read.
    """

    path: Parts
    actions: frozenset[Action] = frozenset()
    release: float = math.nan


class Resolver(Protocol):
    """A catalogue. Thread-safe; may wait, but not for long."""

    def principal(self, credential: str) -> Principal | None:
        """Who shows a session or token of the catalogue; ``None`` if it is not one of its kind.

        Raises:
            Unauthenticated: It is one, and not good.
            CatalogueFault: Nobody can say.
        """

    def by_path(self, principal: Principal, path: Parts) -> Answer | None:
        """What it says of a path below the roots; ``None`` if nothing.

        Raises:
            CatalogueFault: Nobody can say.
        """

    def by_identifier(self, principal: Principal, identifier: str) -> Answer | None:
        """What it says of one of its identifiers; ``None`` if nothing.

        Raises:
            CatalogueFault: Nobody can say.
        """


@dataclass(frozen=True)
class _Kept:
    answer: Answer | None
    until: float


class Resolvers:
    """All resolvers, by name. Answers are remembered for a while."""

    def __init__(self, options: tuple[ResolverOptions, ...]) -> None:
        """Ask none yet.

        Raises:
            BadRequest: A kind does not exist, or does not take its options.
        """
        self._options = {row.name: row for row in options}
        self._resolvers: dict[str, Resolver] = {row.name: _made(row) for row in options}
        self._kept: Recent[_Kept] = Recent(ANSWERS)

    @property
    def remember(self) -> float:
        """Seconds that every answer holds."""
        return min((row.remember for row in self._options.values()), default=math.inf)

    def principal(self, credential: str) -> Principal:
        """Who shows a session or token of a catalogue.

        Raises:
            Unauthenticated: It is of none.
            CatalogueFault: Nobody can say.
        """
        for resolver in self._resolvers.values():
            found = resolver.principal(credential)
            if found is not None:
                return found
        raise Unauthenticated("a token of nobody we know")

    def ask(self, name: str, principal: Principal, action: Action, path: Parts) -> Decision:
        """Whether a resolver allows something, now.

        Raises:
            CatalogueFault: Nobody can say.
        """
        resolver = self._resolvers[name]
        answer = self._remembered((name, principal, path), lambda: resolver.by_path(principal, path))
        if answer is None:
            return Decision(False, f"{name} knows no such file")
        if action in answer.actions or time.time() >= answer.release:  # nan is never reached
            return Decision(True, f"{name} allows it")
        return Decision(False, f"{name} does not allow it")

    def place(self, name: str, identifier: str, principal: Principal) -> Parts:
        """The path that an identifier means. Whether it may be seen is decided when it is asked for.

        Raises:
            NotFound: There is no such resolver or identifier.
            CatalogueFault: Nobody can say.
        """
        resolver = self._resolvers.get(name)
        if resolver is None:
            raise NotFound(name)
        answer = self._remembered(
            (name, principal, "", identifier), lambda: resolver.by_identifier(principal, identifier)
        )
        if answer is None:
            raise NotFound(identifier)
        return answer.path

    def _remembered(self, key: Hashable, ask: Any) -> Answer | None:
        known = self._kept.get(key)
        now = time.monotonic()
        if known is None or now > known.until:
            assert isinstance(key, tuple)
            known = _Kept(ask(), now + self._options[key[0]].remember)
            self._kept.put(key, known)
        return known.answer


def _made(row: ResolverOptions) -> Resolver:
    for point in entry_points(group=GROUP, name=row.kind):
        made: Resolver = point.load()(row)
        return made
    kinds = ", ".join(sorted({point.name for point in entry_points(group=GROUP)}))
    raise BadRequest(f"resolver {row.name}: there is no kind {row.kind!r}; there are {kinds}")


class Catalogue:
    """What resolvers that ask over HTTP share."""

    def __init__(self, options: ResolverOptions, known: frozenset[str]) -> None:
        """Ask nothing yet.

        Args:
            options: Where it is.
            known: Names of further options it takes.

        Raises:
            BadRequest: The options are not those of its kind.
        """
        unknown = options.options.keys() - known
        if unknown or not options.url:
            what = f"takes no option {min(unknown)!r}, but {', '.join(sorted(known))}" if unknown else "needs a url"
            raise BadRequest(f"resolver {options.name} {what}")
        self.options = options
        self._client = httpx.Client(
            base_url=options.url.rstrip("/") + "/", timeout=options.timeout, follow_redirects=False
        )

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """A JSON answer.

        Raises:
            Unauthenticated: The catalogue does not take the credential.
            CatalogueFault: There is no answer that makes sense. What was sent is not told: it has secrets in it.
        """
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise CatalogueFault(f"catalogue {self.options.name}: {type(error).__name__}") from None
        if response.status_code in (401, 403):
            raise Unauthenticated(f"refused by {self.options.name}")
        if response.status_code == 404:
            return None
        if response.status_code != 200 or len(response.content) > MOST_ANSWER:
            raise CatalogueFault(f"catalogue {self.options.name} answers {response.status_code}")
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise CatalogueFault(f"catalogue {self.options.name} does not answer JSON") from None

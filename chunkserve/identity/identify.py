"""From what a request shows to who asks. Everything shown has to be good: a bad credential is never just ignored."""

import hashlib
import ipaddress
import os
import time
from dataclasses import replace
from typing import NamedTuple

from chunkserve.access.options import AccessOptions
from chunkserve.access.pattern import Parts
from chunkserve.access.principal import ANONYMOUS, Action, Principal
from chunkserve.access.rules import Decision
from chunkserve.errors import BadRequest, NotFound, Unauthenticated
from chunkserve.identity.keys import PREFIX, KeyStore

CONFIRMED_FOR = 10.0
"""Seconds after which a key or link is looked up again: so long one works after it was revoked."""


class Credentials(NamedTuple):
    """What a request shows.

    Attributes:
        authorization: The header.
        token: Of a share link.
        user: Whom a proxy says it has let in.
        groups: Of that user, with commas between.
        peer: Address the request comes from.
        session: Of a catalogue.
        seal: Of a signed URL, in place of all others (see :mod:`chunkserve.identity.seals`).
        target: That URL's path and query, without the seal.
    """

    authorization: str = ""
    token: str = ""
    user: str = ""
    groups: str = ""
    peer: str = ""
    session: str = ""
    seal: str = ""
    target: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown."""
        return not (self.authorization or self.session or self.token or self.user or self.seal)


NOBODY = Credentials()


class Identity:
    """Tells who asks. Thread-safe; may wait for disks and identity providers.

    Attributes:
        keys: API keys.
        remember: Seconds that answers of resolvers hold; for ever if there are none.
    """

    def __init__(self, options: AccessOptions, folder: str) -> None:
        """Open nothing yet.

        Args:
            options: How people may be known.
            folder: Where the database is, unless the options say.

        Raises:
            BadRequest: What the options ask for is not installed.
        """
        self.keys = KeyStore(options.database or os.path.join(folder, "access.sqlite"))
        self._networks = tuple(ipaddress.ip_network(network) for network in options.proxies)
        self._resolvers = None
        if options.resolver:
            try:
                from chunkserve.identity.resolvers import Resolvers  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise BadRequest(f"resolvers need more: pip install 'chunkserve[auth]' ({error})") from None
            self._resolvers = Resolvers(options.resolver)
        self.remember = self._resolvers.remember if self._resolvers is not None else float("inf")
        self._providers = None
        if options.oidc:
            try:
                from chunkserve.identity.tokens import Providers  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise BadRequest(f"[[access.oidc]] needs more: pip install 'chunkserve[auth]' ({error})") from None
            self._providers = Providers(options.oidc)

    def ask(self, resolver: str, principal: Principal, action: Action, path: Parts) -> Decision:
        """Whether a resolver, by its name, allows something."""
        if self._resolvers is None:
            return Decision(False, f"there is no resolver {resolver}")
        return self._resolvers.ask(resolver, principal, action, path)

    def place(self, resolver: str, identifier: str, principal: Principal) -> Parts:
        """The path that a catalogue's identifier means.

        Raises:
            NotFound: There is no such resolver or identifier.
        """
        if self._resolvers is None:
            raise NotFound(resolver)
        return self._resolvers.place(resolver, identifier, principal)

    def close(self) -> None:
        """Close the database."""
        self.keys.close()

    @property
    def has_proxies(self) -> bool:
        """Whether there are proxies whose word is taken."""
        return bool(self._networks)

    def believes(self, peer: str) -> bool:
        """Whether an address is that of a proxy whose word is taken."""
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def principal(self, shown: Credentials) -> Principal:
        """Who shows these credentials.

        Raises:
            Unauthenticated: One of them is not good.
            TryAgain: Nobody can say at the moment.
        """
        if shown.seal:
            return self._sealed(shown)
        found = ANONYMOUS
        if shown.user and self.believes(shown.peer):
            groups = frozenset(group.strip() for group in shown.groups.split(",") if group.strip())
            found = Principal(shown.user, groups, "proxy")
        if shown.authorization:
            found = self._authorized(shown.authorization)
        if shown.session:
            found = self._of_catalogue(shown.session)
        if shown.token:
            link = self._holder(shown.token)
            if found.is_authenticated:  # a link adds to what somebody may see anyway
                until = min(found.expires, link.expires)
                return Principal(found.user, found.groups, f"{found.way}, {link.way}", found.scope, link.grant, until)
            found = link
        if not time.time() < found.expires:
            raise Unauthenticated("expired")
        return found

    def seal(self, shown: Credentials, target: str) -> tuple[str, float]:
        """A seal that shows credentials for one URL, and when it ends.

        Raises:
            BadRequest: What it needs is not installed.
        """
        try:
            from chunkserve.identity.seals import seal  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise BadRequest(f"signed URLs need more: pip install 'chunkserve[auth]' ({error})") from None
        return seal(self.keys, shown, target.encode("latin-1"), time.time())

    def _sealed(self, shown: Credentials) -> Principal:
        try:
            from chunkserve.identity.seals import opened  # noqa: PLC0415 - an extra
        except ImportError:
            raise Unauthenticated("signed URLs need 'chunkserve[auth]'") from None
        inside, until = opened(self.keys, shown.seal, shown.target.encode("latin-1"))
        found = self.principal(inside._replace(seal="", target=""))
        return replace(found, way=f"{found.way}, signed URL", expires=min(found.expires, until))

    def _authorized(self, header: str) -> Principal:
        scheme, _, text = header.partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Unauthenticated(f"Authorization: {scheme[:20]} is not understood, only Bearer")
        if text.startswith(PREFIX):
            return self.keys.find(text).principal
        if self._providers is not None and self._providers.knows(text):
            return self._providers.principal(text)
        return self._of_catalogue(text)

    def _of_catalogue(self, credential: str) -> Principal:
        if self._resolvers is None:
            raise Unauthenticated("a token of nobody we know")
        return self._resolvers.principal(credential)

    def _holder(self, token: str) -> Principal:
        try:
            from chunkserve.identity.links import holder  # noqa: PLC0415 - an extra
        except ImportError:
            raise Unauthenticated("links need 'chunkserve[auth]'") from None
        return holder(self.keys, token)


def fingerprint(shown: Credentials) -> bytes:
    """Stands for credentials in memory, which is not to hold them longer than needed."""
    return hashlib.blake2b("\0".join(shown).encode("utf-8", "surrogateescape"), digest_size=16).digest()

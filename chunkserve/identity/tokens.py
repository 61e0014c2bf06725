"""Tokens of OpenID Connect providers: signature, claims, and the groups in them."""

import ipaddress
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from chunkserve.access.options import OidcOptions
from chunkserve.access.principal import Principal
from chunkserve.errors import BadRequest, TryAgain, Unauthenticated

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric ones only: nobody but the provider can sign."""

MOST_TOKEN = 16 * 2**10
MOST_DOCUMENT = 2**20
"""Bytes of a token, and of what a provider tells."""

AGAIN = 30.0
"""Seconds between two looks for a key that is not known."""

SOON = 5.0
"""Seconds until a provider that never answered is asked again."""


class ProviderFault(TryAgain):
    """The identity provider does not answer; nobody can say whether a token is good."""

    retry_after = 5


class Provider:
    """One identity provider. Thread-safe."""

    def __init__(self, options: OidcOptions) -> None:
        """Ask it nothing yet.

        Raises:
            BadRequest: Its URL would let others answer in its name.
        """
        self.options = options
        _check_url(options.issuer)
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._read = self._tried = -float("inf")
        self._claims = {
            "iss": {"essential": True, "value": options.issuer},
            "aud": {"essential": True, "value": options.audience},
            "sub": {"essential": True},
            "exp": {"essential": True},
            options.user_claim: {"essential": True},
        }

    def principal(self, token: str) -> Principal:
        """Whom a token speaks for.

        Raises:
            Unauthenticated: It is not good.
            ProviderFault: Nobody can say.
        """
        try:
            headers = jws.extract_compact(token.encode()).headers()
            if "kid" in headers and not isinstance(headers["kid"], str):
                raise Unauthenticated("kid is no text")
            found = jwt.decode(token, self._keys_for(headers.get("kid")), algorithms=ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(leeway=self.options.leeway, **self._claims)  # type: ignore[arg-type]
            registry.validate(found.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(f"token of {self.options.issuer}: {error}") from None
        claims, prefix = found.claims, self.options.prefix
        user = claims[self.options.user_claim]
        if not isinstance(user, str) or not user:
            raise Unauthenticated(f"{self.options.user_claim} is no name")
        groups = frozenset(
            f"{prefix}{group}" for claim in self.options.group_claims for group in _groups(claims, claim)
        )
        return Principal(f"{prefix}{user}", groups, "token", expires=float(claims["exp"]) + self.options.leeway)

    # -------------------------------------------------------------------- keys

    def _keys_for(self, name: str | None) -> KeySet:
        """The provider's keys; read again when they are old, or do not have the one that is named."""
        with self._lock:
            now = time.monotonic()
            keys = self._keys
            known = keys is not None and (name is None or any(key.kid == name for key in keys))
            old = now - self._read > self.options.keys_for
            if (not known or old) and now - self._tried > (AGAIN if keys is not None else SOON):
                self._tried = now
                try:
                    self._keys = self._fetch()
                    self._read = now
                except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
                    if not known:
                        raise ProviderFault(f"identity provider {self.options.issuer}: {error}") from None
            if self._keys is None:
                raise ProviderFault(f"identity provider {self.options.issuer} does not answer")
            return self._keys

    def _fetch(self) -> KeySet:
        with httpx.Client(timeout=self.options.timeout, follow_redirects=False) as client:
            about = _document(client, self.options.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if about["issuer"] != self.options.issuer:
                raise ValueError(f"it calls itself {about['issuer']}")
            _check_url(about["jwks_uri"])
            return KeySet.import_key_set(_document(client, about["jwks_uri"]))  # type: ignore[arg-type]


class Providers:
    """All identity providers."""

    def __init__(self, options: tuple[OidcOptions, ...]) -> None:
        """Ask them nothing yet."""
        self._by_issuer = {row.issuer: Provider(row) for row in options}

    def principal(self, token: str) -> Principal:
        """Whom a token speaks for.

        Raises:
            Unauthenticated: It is not good, or from somebody else.
            ProviderFault: Nobody can say.
        """
        provider = self._of(token)
        if provider is None:
            raise Unauthenticated("a token of nobody we know")
        return provider.principal(token)

    def knows(self, token: str) -> bool:
        """Whether a token claims to be of one of them."""
        return self._of(token) is not None

    def _of(self, token: str) -> Provider | None:
        if len(token) > MOST_TOKEN:
            return None
        try:
            return self._by_issuer.get(_peek(token)["iss"])
        except (JoseError, ValueError, TypeError, KeyError):
            return None


def _peek(token: str) -> Mapping[str, Any]:
    """What a token claims, unproven: good for choosing who is to prove it."""
    payload = jws.extract_compact(token.encode()).payload
    return msgspec.json.decode(payload, type=dict[str, Any])


def _groups(claims: Mapping[str, Any], claim: str) -> Iterator[str]:
    """The groups in a claim.

    As they stand there, Keycloak's without the slash in front; of entitlements (AARC-G069:
    ``urn:...:group:NAME#AUTHORITY``, with subgroups behind colons) also NAME.
    """
    found: Any = claims
    for word in [claim] if claim in claims else claim.split("."):
        found = found.get(word) if isinstance(found, Mapping) else None
    for group in [found] if isinstance(found, str) else found if isinstance(found, list) else ():
        if isinstance(group, str) and group:
            yield group.removeprefix("/")
            if group.startswith("urn:") and ":group:" in group:
                yield group.partition(":group:")[2].partition("#")[0]


def _document(client: httpx.Client, url: str) -> dict[str, Any]:
    """A JSON object from a provider.

    Raises:
        httpx.HTTPError: It does not answer as it should.
        ValueError: It says something else.
    """
    with client.stream("GET", url, headers={"Accept": "application/json"}) as response:
        response.raise_for_status()
        data = bytearray()
        until = time.monotonic() + 2 * (client.timeout.read or 5.0)
        for part in response.iter_bytes():
            data += part
            if len(data) > MOST_DOCUMENT or time.monotonic() > until:
                raise ValueError(f"{url} is too long, or too slow")
    return msgspec.json.decode(data, type=dict[str, Any])


def _check_url(url: str) -> None:
    """Refuse addresses where somebody on the way could answer in a provider's name.

    Raises:
        BadRequest: It is one.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme != "http" or not local:
        raise BadRequest(f"identity provider {url}: its address has to begin with https://")

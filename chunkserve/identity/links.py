"""Share links: whoever holds one may see some paths until it ends, whatever the rules say.

A link carries a JSON Web Token (RFC 7519) signed by this server: its audience tells it from other tokens, its
``jti`` is what it is revoked by.
"""

import secrets
import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from chunkserve.access.pattern import Pattern
from chunkserve.access.principal import ACTIONS, Action, Principal, Scope
from chunkserve.errors import BadRequest, Unauthenticated
from chunkserve.identity.keys import KeyStore

AUDIENCE = "chunkserve-share"

_ALGORITHMS = ["HS256"]
_CLAIMS = jwt.JWTClaimsRegistry(
    aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}, jti={"essential": True},
    paths={"essential": True}, actions={"essential": True},
)  # fmt: skip


def share(store: KeyStore, paths: tuple[str, ...], actions: frozenset[Action], seconds: float) -> str:
    """A token for files, or for folders (``p42/**``).

    Raises:
        BadRequest: It would be good for nothing.
    """
    if not paths or not actions or not actions <= ACTIONS or seconds <= 0:
        raise BadRequest(f"a link needs paths, a time to live and some of the actions {', '.join(sorted(ACTIONS))}")
    try:
        for path in paths:
            Pattern.parse(path)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    name, secret = store.secret()
    claims: dict[str, object] = {
        "aud": AUDIENCE, "exp": int(time.time() + seconds), "jti": secrets.token_hex(4),
        "paths": list(paths), "actions": sorted(actions),
    }  # fmt: skip
    return jwt.encode({"alg": "HS256", "kid": name}, claims, OctKey.import_key(secret), algorithms=_ALGORITHMS)


def holder(store: KeyStore, token: str) -> Principal:
    """Whoever holds a link.

    Raises:
        Unauthenticated: It is none of ours, has expired or was revoked.
    """
    claims = _read(store, token)
    if store.is_revoked(claims["jti"]):
        raise Unauthenticated(f"link {claims['jti']} was revoked")
    paths = tuple(Pattern.parse(path) for path in claims["paths"])
    grant = Scope(frozenset(claims["actions"]), paths)
    return Principal(way=f"link {claims['jti']}", grant=grant, expires=float(claims["exp"]))


def revoke(store: KeyStore, token: str) -> None:
    """End a link.

    Raises:
        Unauthenticated: It is none of ours, or has ended already.
    """
    claims = _read(store, token)
    store.revoke_link(claims["jti"], float(claims["exp"]))


def _read(store: KeyStore, token: str) -> dict[str, Any]:
    try:
        found = jwt.decode(token, lambda obj: _key(store, obj.headers().get("kid")), algorithms=_ALGORITHMS)
        _CLAIMS.validate(found.claims)
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated(f"link: {error}") from None
    return found.claims


def _key(store: KeyStore, name: object) -> OctKey:
    if not isinstance(name, str) or not name:
        raise ValueError("no secret is named")
    return OctKey.import_key(store.secret(name)[1])

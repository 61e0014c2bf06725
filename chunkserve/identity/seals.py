"""Signed URLs: each shows somebody's credentials for a few minutes, for itself alone.

Browsers follow links without headers. A seal is a JSON Web Encryption (RFC 7516) of the credentials and of the URL they
are good for. Only this server can open it; the credentials are then looked at as if they had been shown themselves, and
what is revoked or expires meanwhile ends the seal, too.
"""

import hashlib
import json
import time

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from chunkserve.errors import Unauthenticated
from chunkserve.identity.identify import Credentials
from chunkserve.identity.keys import KeyStore

GOOD_FOR = 600.0
"""Seconds until a download has to have begun."""

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = ["dir", "A256GCM"]


def seal(store: KeyStore, shown: Credentials, target: bytes, now: float) -> tuple[str, float]:
    """The seal under credentials for a path and query, and when it ends (seconds since 1970)."""
    name, secret = store.secret()
    until = now + GOOD_FOR
    inside = json.dumps({"shown": shown, "target": _digest(target), "until": until}).encode()
    return jwe.encrypt_compact({**_HEADER, "kid": name}, inside, _key(secret), algorithms=_ALGORITHMS), until


def opened(store: KeyStore, text: str, target: bytes) -> tuple[Credentials, float]:
    """The credentials under a seal, and when it ends.

    Raises:
        Unauthenticated: It is none of ours, has ended, or is for another URL.
    """
    try:
        found = jwe.decrypt_compact(text, lambda obj: _named(store, obj.headers().get("kid")), algorithms=_ALGORITHMS)
        inside = json.loads(found.plaintext or b"")
    except (JoseError, ValueError, TypeError) as error:
        raise Unauthenticated(f"signed URL: {error}") from None
    if inside["target"] != _digest(target):
        raise Unauthenticated("signed URL: it was signed for another one")
    if not time.time() < inside["until"]:
        raise Unauthenticated("signed URL: it has ended")
    return Credentials(*inside["shown"]), inside["until"]


def _digest(target: bytes) -> str:
    return hashlib.sha256(target).hexdigest()


def _named(store: KeyStore, name: object) -> OctKey:
    if not isinstance(name, str) or not name:
        raise ValueError("no secret is named")
    return _key(store.secret(name)[1])


def _key(secret: bytes) -> OctKey:
    """A key for this purpose alone: links are signed with the secret itself."""
    return OctKey.import_key(hashlib.blake2b(b"chunkserve sealed requests", key=secret, digest_size=32).digest())

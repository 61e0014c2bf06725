"""Tokens of a real OpenID Connect provider over HTTP, and all that is wrong with the others."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import oidc_provider_mock
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from chunkserve.access.options import OidcOptions
from chunkserve.errors import BadRequest, Unauthenticated
from chunkserve.identity.tokens import ALGORITHMS, Provider, ProviderFault, Providers

AUDIENCE = "chunkserve-test"


class Issuer:
    """A provider: discovery and keys over HTTP, tokens signed here, well or not."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)
        self.keys = KeySet([self.key])
        self.asked: list[str] = []
        self.fails = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                documents = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                    "/keys": issuer.keys.as_dict(private=False),
                }
                data = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(500 if issuer.fails else 200 if self.path in documents else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, **changes: object) -> dict[str, Any]:
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "anna", "exp": now + 300, "iat": now, "groups": ["/p42"]}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **changes: object) -> str:
        head = {"alg": "RS256", "kid": "one"} | (header or {})
        return jwt.encode(head, self.claims(**changes), key or self.key, algorithms=[head["alg"]])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.close()


@pytest.fixture
def providers(issuer: Issuer) -> Providers:
    issuer.fails = False
    issuer.asked.clear()
    return Providers((OidcOptions(issuer=issuer.url, audience=AUDIENCE, leeway=10),))


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(sign(signed.encode()))}"


def unsigned(issuer: Issuer) -> str:
    return by_hand({"alg": "none", "kid": "one"}, issuer.claims(), lambda _: b"")


def by_public_key(issuer: Issuer) -> str:
    public = issuer.key.as_pem(private=False)
    return by_hand(
        {"alg": "HS256", "kid": "one"}, issuer.claims(), lambda data: hmac.digest(public, data, hashlib.sha256)
    )


def with_crit(issuer: Issuer) -> str:
    key = load_pem_private_key(issuer.key.as_pem(private=True), None)
    assert isinstance(key, RSAPrivateKey)
    header = {"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1}
    return by_hand(header, issuer.claims(), lambda data: key.sign(data, PKCS1v15(), SHA256()))


def with_own_key(issuer: Issuer) -> str:
    own = ECKey.generate_key("P-256")
    return issuer.token({"alg": "ES256", "kid": "one", "jwk": own.as_dict(private=False)}, own)


BAD: dict[str, Callable[[Issuer], str]] = {
    "alg none": unsigned,
    "HS256 with the public key": by_public_key,
    "another key": lambda i: i.token(key=RSAKey.generate_key(2048)),
    "an unknown key id": lambda i: i.token({"kid": "two"}),
    "an embedded key": with_own_key,
    "a key elsewhere": lambda i: i.token({"jku": "http://127.0.0.1:1/keys"}, RSAKey.generate_key(2048)),
    "expired": lambda i: i.token(exp=int(time.time()) - 11),
    "no exp": lambda i: i.token(exp=None),
    "exp is no number": lambda i: i.token(exp="tomorrow"),
    "another audience": lambda i: i.token(aud="somebody-else"),
    "no audience": lambda i: i.token(aud=None),
    "another issuer": lambda i: i.token(iss="https://evil.example"),
    "no issuer": lambda i: i.token(iss=None),
    "not yet valid": lambda i: i.token(nbf=int(time.time()) + 60),
    "issued in the future": lambda i: i.token(iat=int(time.time()) + 60),
    "crit that nobody knows": with_crit,
    "no subject": lambda i: i.token(sub=None),
    "subject is empty": lambda i: i.token(sub=""),
    "subject is no text": lambda i: i.token(sub=5),
    "cut": lambda i: i.token()[:-10],
    "three dots": lambda i: i.token() + ".",
    "too long": lambda i: i.token(groups=["x" * 20_000]),
    "nothing": lambda _: "..",
}


@pytest.mark.parametrize("case", BAD)
def test_a_token_that_is_not_good_is_refused(issuer: Issuer, providers: Providers, case: str) -> None:
    assert providers.principal(issuer.token()).user == "anna"
    with pytest.raises((Unauthenticated, ValueError)) as caught:
        providers.principal(_made(issuer, case))
    assert isinstance(caught.value, Unauthenticated)


def _made(issuer: Issuer, case: str) -> str:
    return BAD[case](issuer)


def test_a_good_token_says_who_it_is(issuer: Issuer, providers: Providers) -> None:
    who = providers.principal(issuer.token(exp=int(time.time()) - 5))
    assert (who.user, who.groups) == ("anna", frozenset({"p42"}))
    assert who.expires > time.time()
    assert providers.principal(issuer.token(aud=["other", AUDIENCE])).user == "anna"


def test_no_symmetric_algorithm_is_taken() -> None:
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({"groups": ["/p42", "/staff/beamline"]}, {"p42", "staff/beamline"}),
        ({"groups": None, "realm_access": {"roles": ["curator"]}}, {"curator"}),
        (
            {"groups": None, "eduperson_entitlement": ["urn:geant:helmholtz.de:group:HZB:p42#login.helmholtz.de"]},
            {"urn:geant:helmholtz.de:group:HZB:p42#login.helmholtz.de", "HZB:p42"},
        ),
        ({"groups": "p42"}, {"p42"}),
        ({"groups": [1, None, ""]}, set()),
        ({"groups": {"a": "b"}, "realm_access": "x"}, set()),
    ],
)
def test_groups_are_where_providers_put_them(
    issuer: Issuer, providers: Providers, claims: dict[str, object], groups: set[str]
) -> None:
    assert providers.principal(issuer.token(**claims)).groups == groups


def test_names_of_several_providers_are_told_apart(issuer: Issuer) -> None:
    options = OidcOptions(issuer=issuer.url, audience=AUDIENCE, prefix="esrf:", user_claim="preferred_username")
    who = Provider(options).principal(issuer.token(preferred_username="boris"))
    assert (who.user, who.groups) == ("esrf:boris", frozenset({"esrf:p42"}))
    with pytest.raises(Unauthenticated):
        Provider(options).principal(issuer.token())


def test_keys_are_kept_and_read_again_when_a_new_one_is_used(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(OidcOptions(issuer=issuer.url, audience=AUDIENCE))
    issuer.asked.clear()
    for _ in range(5):
        provider.principal(issuer.token())
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    second = RSAKey.generate_key(2048, {"kid": "second"}, auto_kid=False)
    monkeypatch.setattr(issuer, "keys", KeySet([second]))
    rotated = issuer.token({"kid": "second"}, second)
    for _ in range(5):
        with pytest.raises(Unauthenticated):  # it was asked a moment ago: strangers cannot have it asked all the time
            provider.principal(rotated)
    assert len(issuer.asked) == 2
    provider._tried -= 31
    assert provider.principal(rotated).user == "anna"
    assert len(issuer.asked) == 4
    with pytest.raises(Unauthenticated):
        provider.principal(issuer.token())


def test_a_provider_that_does_not_answer_is_no_reason_to_believe_or_to_refuse(issuer: Issuer) -> None:
    provider = Provider(OidcOptions(issuer=issuer.url, audience=AUDIENCE))
    issuer.fails = True
    with pytest.raises(ProviderFault):
        provider.principal(issuer.token())
    issuer.fails = False
    provider._tried -= 10
    assert provider.principal(issuer.token()).user == "anna"
    issuer.fails = True
    provider._read -= 4000
    provider._tried -= 4000
    assert provider.principal(issuer.token()).user == "anna"  # with the keys it had


@pytest.mark.parametrize("url", ["http://login.example.org", "ftp://x", "login.example.org", "https://"])
def test_a_provider_has_to_be_asked_in_private(url: str) -> None:
    with pytest.raises(BadRequest, match="https"):
        Provider(OidcOptions(issuer=url, audience=AUDIENCE))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the mock that still runs on Python 3.11
def test_a_login_at_a_real_provider_gives_a_token_that_is_taken() -> None:
    """Authorization code flow with the provider of oidc-provider-mock."""
    users = [oidc_provider_mock.User(sub="anna", claims={"groups": ["p42"]})]
    with oidc_provider_mock.run_server_in_thread(user_claims=users) as server:
        base = f"http://localhost:{server.server_port}"
        about = httpx.get(f"{base}/.well-known/openid-configuration").json()
        query = {
            "client_id": "viewer", "redirect_uri": "http://localhost/back", "response_type": "code",
            "scope": "openid groups", "state": "s", "nonce": "n",
        }  # fmt: skip
        answer = httpx.post(about["authorization_endpoint"], params=query, data={"sub": "anna"})
        code = httpx.URL(answer.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "http://localhost/back"}
        given = httpx.post(about["token_endpoint"], data=form, auth=("viewer", "secret")).json()
        providers = Providers((OidcOptions(issuer=about["issuer"], audience="viewer"),))
        assert providers.principal(given["id_token"]).user == "anna"
        strangers = Providers((OidcOptions(issuer=about["issuer"], audience="somebody-else"),))
        with pytest.raises(Unauthenticated):
            strangers.principal(given["id_token"])

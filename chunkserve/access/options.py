"""The ``[access]`` section of the configuration file, checked: what may stand there, and the rules it makes."""

import ipaddress
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from chunkserve.access.pattern import Pattern
from chunkserve.access.principal import ACTIONS, Action
from chunkserve.access.rules import Level, Rule, Rules
from chunkserve.errors import BadRequest


class RuleOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[access.rule]]``: who may see some paths. The first rule that names a path decides."""

    path: Annotated[str, Meta(description="glob below the roots, with the root's name in front if several are served")]
    level: Annotated[Level, Meta(description="who: everybody, everybody logged in, or those named here")] = "authorised"
    users: Annotated[tuple[str, ...], Meta(description="users who may, whatever the level")] = ()
    groups: Annotated[tuple[str, ...], Meta(description="groups whose members may, whatever the level")] = ()
    actions: Annotated[tuple[Action, ...], Meta(description="what it is about; other requests look further")] = tuple(
        sorted(ACTIONS)
    )
    embargo_until: Annotated[
        Any, Meta(description="date with time and offset; before, only `users` and `groups` may; a day begins in UTC")
    ] = None
    after: Annotated[Level, Meta(description="level once the embargo is over")] = "anonymous"
    resolver: Annotated[str, Meta(description="name of a resolver that is asked about those not named here")] = ""


class OidcOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[access.oidc]]``: an identity provider whose tokens are taken (``Authorization: Bearer ...``)."""

    issuer: Annotated[str, Meta(description="its URL, as `iss` has it; https, except on this machine")]
    audience: Annotated[str, Meta(description="what `aud` has to name: this server's client id")]
    user_claim: Annotated[str, Meta(description="claim that is the user's name; `sub` never changes hands")] = "sub"
    group_claims: Annotated[tuple[str, ...], Meta(description="claims that hold groups; a dot leads into a claim")] = (
        "groups", "realm_access.roles", "entitlements", "eduperson_entitlement",
    )  # fmt: skip
    prefix: Annotated[str, Meta(description="put in front of its users and groups; needed with several providers")] = ""
    leeway: Annotated[int, Meta(ge=0, le=60, description="seconds that clocks may differ")] = 30
    timeout: Annotated[float, Meta(gt=0, le=60, description="seconds to wait for the provider")] = 5.0
    keys_for: Annotated[float, Meta(ge=60, description="seconds that the provider's keys are kept")] = 3600.0


class ResolverOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[access.resolver]]``: a catalogue that knows who may see what; rules name it."""

    name: Annotated[str, Meta(description="what rules call it")]
    kind: Annotated[str, Meta(description="`icat`, `scicat`, `posix`, or an entry point of `chunkserve.resolvers`")]
    url: Annotated[str, Meta(description="where the catalogue is")] = ""
    remember: Annotated[float, Meta(ge=0, le=3600, description="seconds that answers are kept")] = 60.0
    timeout: Annotated[float, Meta(gt=0, le=60, description="seconds to wait for the catalogue")] = 5.0
    options: Annotated[dict[str, str], Meta(description="what else the kind takes")] = {}


class AccessOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[access]``: switches access control on."""

    default: Annotated[Literal["closed", "open"], Meta(description="paths that no rule names")] = "closed"
    rule: Annotated[tuple[RuleOptions, ...], Meta(description="the rules, in order")] = ()
    metrics: Annotated[Level, Meta(description="who may read `/metrics`")] = "authenticated"
    public_lifetime: Annotated[
        int, Meta(ge=0, description="seconds that caches may keep pinned answers everybody may see")
    ] = 3600
    database: Annotated[
        str, Meta(description="SQLite file of API keys and secrets; by default in ~/.local/state/chunkserve")
    ] = ""
    oidc: Annotated[tuple[OidcOptions, ...], Meta(description="identity providers")] = ()
    resolver: Annotated[tuple[ResolverOptions, ...], Meta(description="catalogues")] = ()
    proxies: Annotated[
        tuple[str, ...],
        Meta(description="addresses or networks of proxies whose `X-Forwarded-User` and `-Groups` are believed"),
    ] = ()
    audit: Annotated[str, Meta(description="file for the log of who read what, as JSON lines; empty for none")] = ""
    audit_bytes: Annotated[int, Meta(ge=4096, description="size at which it is rotated")] = 64 * 2**20
    audit_files: Annotated[int, Meta(ge=1, le=1000, description="old ones kept")] = 10


def read_options(section: object, where: str) -> AccessOptions:
    """Check a section as TOML has it.

    Raises:
        BadRequest: Something in it is not understood.
    """
    try:
        options = msgspec.convert(section, AccessOptions)
        rules_of(options)
        _check(options)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadRequest(f"{where}: [access]: {error}") from None
    return options


def rules_of(options: AccessOptions) -> Rules:
    """The rules.

    Raises:
        ValueError: One can never be what was meant.
    """
    return Rules(tuple(_rule(row) for row in options.rule), options.default == "open")


def _check(options: AccessOptions) -> None:
    names = {row.name for row in options.resolver}
    for rule in options.rule:
        if rule.resolver and rule.resolver not in names:
            raise ValueError(f"rule for {rule.path}: there is no resolver {rule.resolver!r}")
    if len({row.prefix for row in options.oidc}) < len(options.oidc):
        raise ValueError("several identity providers need a prefix each, lest they have users of the same name")
    for network in options.proxies:
        ipaddress.ip_network(network)


def _rule(row: RuleOptions) -> Rule:
    until = None if row.embargo_until is None else moment(row.embargo_until)
    if not row.actions:
        raise ValueError(f"rule for {row.path}: it has no actions; leave the line out to mean all")
    named = row.users or row.groups or row.resolver
    if row.level == "authorised" and until is None and not named:
        raise ValueError(f"rule for {row.path}: level authorised needs users, groups or a resolver")
    return Rule(
        Pattern.parse(row.path),
        row.level,
        frozenset(row.users),
        frozenset(row.groups),
        frozenset(row.actions),
        until,
        row.after,
        row.resolver,
    )


def moment(value: object) -> float:
    """A date in seconds since 1970. One without time is its beginning in UTC.

    Raises:
        ValueError: It is none, or it depends on where one is.
    """
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no date such as 2027-01-01T00:00:00Z") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no offset: write 2027-01-01T00:00:00Z, or +01:00 for Z")
        return value.timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    raise ValueError(f"{value!r} is no date such as 2027-01-01T00:00:00Z")

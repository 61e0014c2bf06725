"""The ``[access]`` section of the configuration file, checked: what may stand there, and the rules it makes."""

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


class AccessOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[access]``: switches access control on."""

    default: Annotated[Literal["closed", "open"], Meta(description="paths that no rule names")] = "closed"
    rule: Annotated[tuple[RuleOptions, ...], Meta(description="the rules, in order")] = ()


def read_options(section: object, where: str) -> AccessOptions:
    """Check a section as TOML has it.

    Raises:
        BadRequest: Something in it is not understood.
    """
    try:
        options = msgspec.convert(section, AccessOptions)
        rules_of(options)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadRequest(f"{where}: [access]: {error}") from None
    return options


def rules_of(options: AccessOptions) -> Rules:
    """The rules.

    Raises:
        ValueError: One can never be what was meant.
    """
    return Rules(tuple(_rule(row) for row in options.rule), options.default == "open")


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

"""Who asks: a person, a program, or whoever holds a link."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from chunkserve.access.pattern import Parts, Pattern

Action = Literal["metadata", "data", "download"]
"""What is asked for: names, shapes and attributes; values; whole files."""

ACTIONS: frozenset[Action] = frozenset(get_args(Action))


@dataclass(frozen=True)
class Scope:
    """What a credential is limited to, or grants.

    Attributes:
        actions: What may be asked for.
        paths: Of which files; ``None`` if of any.
    """

    actions: frozenset[Action] = ACTIONS
    paths: tuple[Pattern, ...] | None = None

    def covers(self, action: Action, path: Parts) -> bool:
        """Whether it reaches as far as a path."""
        return action in self.actions and (self.paths is None or any(p.matches(path) for p in self.paths))

    def leads_below(self, action: Action, path: Parts) -> bool:
        """Whether it reaches something below a folder."""
        return action in self.actions and (self.paths is None or any(p.leads_below(path) for p in self.paths))


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        user: Name, empty for whoever shows no credential.
        groups: Groups, proposals, roles: what rules name as ``groups``.
        way: How it is known, for logs: ``key``, ``token``, ``link``, ``proxy``, ``session``.
        scope: What the credential is limited to.
        grant: What the credential itself allows, whatever the rules say: that of a share link.
        expires: When the credential ends, in seconds since 1970.
        credential: What catalogues are asked with in the principal's name. Never shown.
    """

    user: str = ""
    groups: frozenset[str] = frozenset()
    way: str = ""
    scope: Scope = Scope()
    grant: Scope | None = None
    expires: float = field(default=float("inf"), compare=False)
    credential: str = field(default="", repr=False)

    @property
    def is_authenticated(self) -> bool:
        """Whether it is somebody; who holds a link is nobody in particular."""
        return bool(self.user)

    def __str__(self) -> str:
        return self.user or self.way or "anonymous"


ANONYMOUS = Principal()

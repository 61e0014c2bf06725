"""The decision: may this principal do this with this path, at this moment? The first rule that names it decides."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from chunkserve.access.pattern import Parts, Pattern
from chunkserve.access.principal import ACTIONS, Action, Principal
from chunkserve.versions import digest

Level = Literal["anonymous", "authenticated", "authorised"]
LEVELS: tuple[Level, ...] = get_args(Level)

NEVER = float("inf")


class Decision(NamedTuple):
    """Yes, or no and why. The reason is for people who may know it, never for who asked."""

    allowed: bool
    reason: str


@dataclass(frozen=True)
class Rule:
    """Who may see some paths.

    Attributes:
        path: Which.
        level: Who: everybody, everybody with a name, or only those named here.
        users: Names.
        groups: Groups.
        actions: What the rule is about.
        embargo_until: Before, in seconds since 1970, only those named may; afterwards ``after`` says who.
        after: As ``level``.
        resolver: A catalogue that says whether who is named neither in ``users`` nor ``groups`` may.
    """

    path: Pattern
    level: Level = "authorised"
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    actions: frozenset[Action] = ACTIONS
    embargo_until: float | None = None
    after: Level = "anonymous"
    resolver: str = ""

    def names(self, principal: Principal) -> bool:
        """Whether a principal is one of those named."""
        return principal.is_authenticated and (
            principal.user in self.users or not self.groups.isdisjoint(principal.groups)
        )

    def admits(self, principal: Principal, now: float) -> Decision:
        """Whether a principal may, at a moment."""
        if self.names(principal):
            return Decision(True, f"named by {self.path}")
        level = self.level
        if self.embargo_until is not None:
            if not now >= self.embargo_until:  # a date that is no number is in the future
                return Decision(False, f"{self.path} is under embargo")
            level = self.after
        if level == "anonymous" or (level == "authenticated" and principal.is_authenticated):
            return Decision(True, f"{self.path} is open to {level}")
        return Decision(False, f"{self.path} is open to {level} users only")


@dataclass(frozen=True)
class Rules:
    """All rules in order, and what holds for paths that none names."""

    rules: tuple[Rule, ...] = ()
    default_open: bool = False

    @cached_property
    def version(self) -> str:
        """The same for the same rules."""
        return digest(repr(self.rules), self.default_open)

    @cached_property
    def dates(self) -> tuple[float, ...]:
        """When decisions change by themselves."""
        return tuple(sorted({rule.embargo_until for rule in self.rules if rule.embargo_until is not None}))

    def next_date(self, now: float) -> float:
        """The next of these dates."""
        at = bisect_right(self.dates, now)
        return self.dates[at] if at < len(self.dates) else NEVER

    def last_date(self, now: float) -> float:
        """The last of these dates that has come."""
        at = bisect_right(self.dates, now)
        return self.dates[at - 1] if at else -NEVER

    def deciding(self, action: Action, path: Parts) -> int | None:
        """The number of the rule that decides about a path, if one names it."""
        for number in self._candidates(path):
            rule = self.rules[number]
            if action in rule.actions and rule.path.matches(path):
                return number
        return None

    def may(self, principal: Principal, action: Action, path: Parts, now: float) -> Decision:
        """The decision.

        Args:
            principal: Who asks.
            action: For what.
            path: Components of a path below the roots, root name first if there are several.
            now: Seconds since 1970.
        """
        if not now < principal.expires:
            return Decision(False, "the credential has expired")
        if not principal.scope.covers(action, path):
            return Decision(False, "beyond the credential's scope")
        if principal.grant is not None and principal.grant.covers(action, path):
            return Decision(True, "granted by the credential")
        number = self.deciding(action, path)
        if number is None:
            return Decision(self.default_open, "no rule names it")
        return self.rules[number].admits(principal, now)

    def _candidates(self, path: Parts) -> Iterator[int]:
        """Numbers of the rules that may name a path, in order."""
        yield from self._by_first.get(path[0] if path else "", self._anywhere)

    @cached_property
    def _anywhere(self) -> tuple[int, ...]:
        return tuple(number for number, rule in enumerate(self.rules) if rule.path.first is None)

    @cached_property
    def _by_first(self) -> Mapping[str, tuple[int, ...]]:
        """By first component, so that thousands of proposals cost no more than one."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, rule in enumerate(self.rules):
            if rule.path.first is not None:
                found[rule.path.first].append(number)
        return {first: tuple(sorted((*numbers, *self._anywhere))) for first, numbers in found.items()}

"""What one principal may see at one moment: decisions remembered by path until a date changes one of them."""

from collections.abc import Callable, Hashable
from functools import cached_property

from chunkserve.access.pattern import Parts
from chunkserve.access.principal import Action, Principal, Scope
from chunkserve.access.rules import Decision, Rules

REMEMBERED = 65_536
"""Paths whose decisions are remembered."""

Ask = Callable[[str, Principal, Action, Parts], Decision]
"""Asks a resolver, by its name, whether it allows something."""


class Sight:
    """The rules as they are for one principal and one action, from :attr:`since` until :attr:`until`."""

    def __init__(self, rules: Rules, principal: Principal, action: Action, now: float, ask: Ask | None = None) -> None:
        """Look at rules with the eyes of a principal.

        Args:
            rules: The rules.
            principal: Who looks.
            action: What for.
            now: Seconds since 1970.
            ask: The way to resolvers that rules name.
        """
        self.rules = rules
        self.principal = principal
        self.action = action
        self.since = rules.last_date(now)
        self.until = min(rules.next_date(now), principal.expires)
        self._now = now
        self._ask = ask
        self._open = tuple(rule.admits(principal, now).allowed for rule in rules.rules)
        self._known: dict[Parts, bool] = {}

    @cached_property
    def key(self) -> Hashable:
        """Equal for sights that see the same."""
        about = self.principal if any(rule.resolver for rule in self.rules.rules) else None
        applies = tuple(self.action in rule.actions for rule in self.rules.rules)
        scope = self._paths(self.principal.scope)
        grant = self._paths(self.principal.grant)
        return self.rules.version, applies, self._open, scope, grant, about

    def _paths(self, scope: Scope | None) -> Hashable:
        """What a scope comes to for this action."""
        return scope.paths if scope is not None and self.action in scope.actions else "nothing"

    def may(self, path: Parts) -> bool:
        """Whether a path may be seen."""
        found = self._known.get(path)
        if found is None:
            found = self._decide(path)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[path] = found
        return found

    def leads_below(self, folder: Parts) -> bool:
        """Whether something below a folder may perhaps be seen, so that the way there is open."""
        scope, grant = self.principal.scope, self.principal.grant
        if not scope.leads_below(self.action, folder):
            return False
        if self.rules.default_open or (grant is not None and grant.leads_below(self.action, folder)):
            return True
        return any(self._opens(i) and rule.path.leads_below(folder) for i, rule in enumerate(self.rules.rules))

    def shows(self, folder: Parts) -> bool:
        """Whether a folder is shown to who looks for it: it may be seen, or is spelled out on the way to what may."""
        if self.may(folder):
            return True
        scope, grant = self.principal.scope, self.principal.grant
        if not scope.leads_below(self.action, folder):
            return False
        if grant is not None and any(p.spells(folder) for p in grant.paths or ()):
            return True
        return any(self._opens(i) and rule.path.spells(folder) for i, rule in enumerate(self.rules.rules))

    def _opens(self, number: int) -> bool:
        """Whether a rule may say yes."""
        rule = self.rules.rules[number]
        return self.action in rule.actions and (self._open[number] or bool(rule.resolver))

    def _decide(self, path: Parts) -> bool:
        decision = self.rules.may(self.principal, self.action, path, self._now)
        if decision.allowed or self._ask is None or not self.principal.scope.covers(self.action, path):
            return decision.allowed
        number = self.rules.deciding(self.action, path)
        if number is None or not self.rules.rules[number].resolver:
            return False
        return self._ask(self.rules.rules[number].resolver, self.principal, self.action, path).allowed

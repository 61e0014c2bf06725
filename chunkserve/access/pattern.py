"""Globs over paths, matched component by component.

``*``, ``?`` and ``[abc]`` stand for something within a component, ``**`` for any number of components, none included:
``p42/**`` is the folder ``p42`` and all below it.
"""

import fnmatch
import functools
import re
from dataclasses import dataclass

Parts = tuple[str, ...]

_ANY = "**"
_MAGIC = re.compile(r"[*?\[]")


def split_path(path: str) -> Parts:
    """The components of a path; an absolute one begins with an empty one."""
    parts = tuple(part for part in path.split("/") if part)
    return ("", *parts) if path.startswith("/") else parts


@dataclass(frozen=True)
class Pattern:
    """A glob over paths."""

    components: Parts

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read a glob.

        Raises:
            ValueError: It can match no path.
        """
        components = split_path(text)
        if not any(components) or "." in components or ".." in components:
            raise ValueError(f"{text!r} is no pattern of paths: there is no '.' or '..' in them, and ** is all of them")
        return cls(components)

    def __str__(self) -> str:
        return "/".join(self.components)

    def matches(self, path: Parts) -> bool:
        """Whether a path is one of those meant."""
        return len(self.components) in self._reached(path)

    def leads_below(self, path: Parts) -> bool:
        """Whether something below a folder may be meant."""
        return any(at < len(self.components) for at in self._reached(path))

    def spells(self, path: Parts) -> bool:
        """Whether a folder on the way to what is meant stands in the pattern letter by letter."""
        here = self.components[: len(path)]
        return len(path) < len(self.components) and here == path and not any(map(_MAGIC.search, here))

    @property
    def first(self) -> str | None:
        """The first component, if nothing else can be in its place."""
        return None if _MAGIC.search(self.components[0]) else self.components[0]

    def _reached(self, path: Parts) -> set[int]:
        """How many components of the pattern a path can have used up."""
        reached = self._skipped({0})
        for part in path:
            following = set()
            for at in reached:
                if at == len(self.components):
                    continue
                if self.components[at] == _ANY:
                    following.add(at)
                elif _matcher(self.components[at])(part):
                    following.add(at + 1)
            if not following:
                return following
            reached = self._skipped(following)
        return reached

    def _skipped(self, reached: set[int]) -> set[int]:
        """Those, and what is reached when ``**`` stands for nothing."""
        found = set(reached)
        for at in sorted(reached):
            while at < len(self.components) and self.components[at] == _ANY:
                at += 1  # noqa: PLW2901 - a walk from there
                found.add(at)
        return found


@functools.lru_cache(65_536)
def _matcher(component: str) -> "functools.partial[bool]":
    """Compares one component; cached because patterns share most of them."""
    if not _MAGIC.search(component):
        return functools.partial(str.__eq__, component)
    compiled = re.compile(fnmatch.translate(component))
    return functools.partial(_fits, compiled)


def _fits(compiled: re.Pattern[str], part: str) -> bool:
    return compiled.match(part) is not None

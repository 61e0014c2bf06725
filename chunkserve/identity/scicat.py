"""SciCat: its tokens, and datasets by PID or source folder, through its backend's REST interface (v3 and v4).

Option ``prefix``: the folder that the roots are at in ``sourceFolder`` (``/data``).
"""

import json
import math
from typing import Any
from urllib.parse import quote

from chunkserve.access.options import ResolverOptions
from chunkserve.access.pattern import Parts, split_path
from chunkserve.access.principal import ACTIONS, Principal
from chunkserve.errors import Unauthenticated
from chunkserve.identity.resolvers import Answer, Catalogue, CatalogueFault

_FIELDS = {"pid": True, "sourceFolder": True, "ownerGroup": True, "accessGroups": True, "isPublished": True}


class Scicat:
    """A resolver (see :class:`chunkserve.identity.resolvers.Resolver`)."""

    def __init__(self, options: ResolverOptions) -> None:
        """Ask nothing yet."""
        self._http = Catalogue(options, frozenset({"prefix"}))
        self._prefix = split_path(options.options.get("prefix", ""))
        self._way = f"token of {options.name}"

    def principal(self, credential: str) -> Principal | None:
        """Whose token it is, as SciCat says."""
        if credential.count(".") != 2:
            return None
        try:
            found = self._http.ask("GET", "users/my/identity", headers=_bearer(credential))
        except Unauthenticated:
            return None
        profile = found.get("profile") if isinstance(found, dict) else None
        if not isinstance(profile, dict) or not isinstance(profile.get("username"), str) or not profile["username"]:
            return None
        groups = profile.get("accessGroups")
        named = frozenset(g for g in groups if isinstance(g, str)) if isinstance(groups, list) else frozenset[str]()
        return Principal(profile["username"], named, self._way, credential=credential)

    def by_path(self, principal: Principal, path: Parts) -> Answer | None:
        """What SciCat says of the dataset whose source folder a path is in; of the innermost, if there are several."""
        whole = (*self._prefix, *path)
        folders = ["/" + "/".join(part for part in whole[:n] if part) for n in range(1, len(whole) + 1)]
        named = [name for folder in folders for name in (folder, f"{folder}/")]
        query = {"where": {"sourceFolder": {"inq": named}}, "fields": _FIELDS}
        found = self._ask(principal, "datasets", {"filter": json.dumps(query)})
        datasets = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
        if not datasets:
            return None
        inner = max(datasets, key=lambda row: len(str(row.get("sourceFolder")).rstrip("/")))
        return self._answer(principal, inner, path)

    def by_identifier(self, principal: Principal, identifier: str) -> Answer | None:
        """What SciCat says of a PID, or of a file in its folder: ``PID:relative/name.h5`` is not needed, add a path."""
        found = self._ask(principal, f"datasets/{quote(identifier, safe='')}", {})
        if not isinstance(found, dict):
            return None
        folder = split_path(str(found.get("sourceFolder")))
        if not folder or folder[: len(self._prefix)] != self._prefix:
            return None
        return self._answer(principal, found, folder[len(self._prefix) :])

    def _answer(self, principal: Principal, dataset: dict[str, Any], path: Parts) -> Answer:
        groups = dataset.get("accessGroups")
        allowed = {dataset.get("ownerGroup"), *(groups if isinstance(groups, list) else ())}
        named = principal.is_authenticated and not principal.groups.isdisjoint(g for g in allowed if isinstance(g, str))
        released = -math.inf if dataset.get("isPublished") is True else math.nan
        return Answer(path, ACTIONS if named else frozenset(), released)

    def _ask(self, principal: Principal, path: str, query: dict[str, str]) -> Any:
        own = principal.way.startswith(self._way)
        try:
            return self._http.ask("GET", path, params=query, headers=_bearer(principal.credential) if own else {})
        except Unauthenticated:
            if own:
                raise CatalogueFault(f"catalogue {self._http.options.name} no longer takes the token") from None
            return None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}

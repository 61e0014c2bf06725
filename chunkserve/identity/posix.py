"""POSIX permissions: modes, groups and access control lists of the files decide, as if the user read them here.

Options: ``root``, the folder that paths below the roots are in; ``others``, set to ``anonymous`` to have what the mode
allows to others seen by everybody, not only by those logged in.
"""

import errno
import grp
import os
import pwd
import stat
import struct
from typing import NamedTuple

from chunkserve.access.options import ResolverOptions
from chunkserve.access.pattern import Parts
from chunkserve.access.principal import ACTIONS, Principal
from chunkserve.errors import BadRequest
from chunkserve.identity.resolvers import Answer, CatalogueFault

READ, SEARCH = 4, 1

_ACL = "system.posix_acl_access"
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_ENTRY = struct.Struct("<HHI")


class Entry(NamedTuple):
    """An entry of an access control list (acl(5))."""

    tag: int
    permissions: int
    number: int


class Posix:
    """A resolver (see :class:`chunkserve.identity.resolvers.Resolver`)."""

    def __init__(self, options: ResolverOptions) -> None:
        """Look at nothing yet.

        Raises:
            BadRequest: There is no such folder, or an option is not known.
        """
        known = options.options
        self._root = known.get("root", "")
        self._anybody = known.get("others", "") == "anonymous"
        if known.keys() - {"root", "others"} or not os.path.isdir(self._root):
            raise BadRequest(f"resolver {options.name} takes root, which has to be a folder, and others = 'anonymous'")

    def principal(self, credential: str) -> Principal | None:
        """Nobody: files know users, but no credentials."""
        del credential
        return None

    def by_path(self, principal: Principal, path: Parts) -> Answer | None:
        """Whether a user could read a file, or list a folder."""
        if not principal.is_authenticated and not self._anybody:
            return None
        user, groups = _numbers(principal)
        here = self._root
        try:
            for part in path:
                if not allows(here, user, groups, SEARCH):
                    return None
                here = os.path.join(here, part)
            may = allows(here, user, groups, READ)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise CatalogueFault(f"{here}: {error.strerror}") from None
        return Answer(path, ACTIONS) if may else None

    def by_identifier(self, principal: Principal, identifier: str) -> Answer | None:
        """Nothing: files have no identifiers but their paths."""
        del principal, identifier
        return None


def _numbers(principal: Principal) -> tuple[int | None, frozenset[int]]:
    """Numbers of a user and of all their groups, those of the system and those that the credential names."""
    groups = set()
    for name in principal.groups:
        try:
            groups.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    try:
        entry = pwd.getpwnam(principal.user)
    except KeyError:
        return None, frozenset(groups)
    return entry.pw_uid, frozenset({*groups, *os.getgrouplist(principal.user, entry.pw_gid)})


def allows(path: str, user: int | None, groups: frozenset[int], wanted: int) -> bool:
    """Whether somebody has a permission, as acl(5) says.

    Args:
        path: A file or folder; of symbolic links, what they lead to.
        user: Number; ``None`` for nobody this system knows. The superuser has no privilege here.
        groups: Numbers.
        wanted: ``READ`` or ``SEARCH``.

    Raises:
        OSError: It cannot be looked at.
    """
    info = os.stat(path)
    entries = _entries(path) or [
        Entry(_USER_OBJ, info.st_mode >> 6 & 7, 0),
        Entry(_GROUP_OBJ, info.st_mode >> 3 & 7, 0),
        Entry(_OTHER, info.st_mode & 7, 0),
    ]
    if wanted == READ and stat.S_ISDIR(info.st_mode):
        wanted = READ | SEARCH
    mask = next((e.permissions for e in entries if e.tag == _MASK), 7)
    by_tag = {e.tag: e.permissions for e in entries}
    if user is not None and user == info.st_uid:
        return by_tag[_USER_OBJ] & wanted == wanted
    named = [e.permissions & mask for e in entries if e.tag == _USER and e.number == user]
    if named:
        return named[0] & wanted == wanted
    matching = [
        e.permissions & mask
        for e in entries
        if (e.tag == _GROUP_OBJ and info.st_gid in groups) or (e.tag == _GROUP and e.number in groups)
    ]
    if matching:
        return any(permissions & wanted == wanted for permissions in matching)
    return by_tag[_OTHER] & wanted == wanted


def _entries(path: str) -> list[Entry]:
    """The access control list of a file; empty if it has none but its mode."""
    try:
        data = os.getxattr(path, _ACL)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return []
        raise
    return [Entry(*fields) for fields in _ENTRY.iter_unpack(data[4:])]  # behind a version number

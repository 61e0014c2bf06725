"""Landlock: after its file is open, a reader process may open no other, whatever the file talks libhdf5 into.

https://docs.kernel.org/userspace-api/landlock.html (Linux 5.13). Where the kernel has none, this wall is missing and
the first one (links are never followed by libhdf5, see ``scan.open_object``) stands alone.
"""

import ctypes
import os

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_FLAG = 1
_PR_SET_NO_NEW_PRIVS = 38
_FS_RIGHTS = (13, 14, 15, 15, 16)
"""How many file-system rights ABI 1, 2, ... know; later ABIs know the last number."""

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)))


def forbid_opening_files() -> bool:
    """Forbid this process every kind of file access by path, for good. Open descriptors keep working.

    Returns:
        Whether the kernel could do it.
    """
    version = abi()
    if not version:
        return False
    handled = ctypes.c_uint64((1 << _FS_RIGHTS[min(version, len(_FS_RIGHTS)) - 1]) - 1)
    ruleset = _libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(_libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)

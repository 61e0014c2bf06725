"""Failures of the storage, told apart from damage: libhdf5 spells both as the same exceptions."""

import errno
import re

_STORAGE = frozenset({errno.EIO, errno.ETIMEDOUT, errno.ESTALE, errno.EREMOTEIO})
_ERRNO = re.compile(r"errno = ([0-9]+),")


def is_storage_fault(message: str) -> bool:
    """Whether an error's message, with libhdf5's account of a failed system call, speaks of failing storage."""
    return any(int(number) in _STORAGE for number in _ERRNO.findall(message))


def raise_storage_fault(error: Exception) -> None:
    """Raise an error again if the storage failed: what could not be read is not broken, nor to be kept as such."""
    if is_storage_fault(str(error)):
        raise error

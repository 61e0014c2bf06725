"""Open a path below a directory without ever leaving it: openat2(2) where the kernel has it, else step by step."""

import ctypes
import errno
import os

_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def has_openat2() -> bool:
    """Whether the kernel offers openat2 (Linux 5.6) and no sandbox forbids it."""
    root = os.open("/", os.O_PATH)
    try:
        os.close(_openat2(root, b".", os.O_PATH))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def open_beneath(directory: int, parts: tuple[bytes, ...], flags: int) -> int:
    """Open ``parts`` below an open directory. No component, the last included, may be a symbolic link.

    With ``O_PATH | O_NOFOLLOW`` the last one may be: the link itself is opened.

    Raises:
        OSError: As open(2); ELOOP for a symbolic link on the way.
    """
    if not parts:
        parts = (b".",)
    if _HAS_OPENAT2:
        return _openat2(directory, b"/".join(parts), flags)
    return _step_by_step(directory, parts, flags)


def _openat2(directory: int, path: bytes, flags: int) -> int:
    how = _How(flags | os.O_CLOEXEC, 0, _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH)
    fd = _libc.syscall(_OPENAT2, directory, path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(fd)


def _step_by_step(directory: int, parts: tuple[bytes, ...], flags: int) -> int:
    here, opened = directory, -1
    try:
        for part in parts[:-1]:
            if part in (b"", b".."):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), part)
            step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
            if opened >= 0:
                os.close(opened)
            here = opened = step
        if parts[-1] in (b"", b".."):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), parts[-1])
        return os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    except NotADirectoryError as error:  # what O_DIRECTORY | O_NOFOLLOW says of a symbolic link
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), error.filename) from None
    finally:
        if opened >= 0:
            os.close(opened)


_HAS_OPENAT2 = True
_HAS_OPENAT2 = has_openat2()

"""Becomes another program that dies with its parent. Run by path (`python -I -S launch.py ...`), so it starts in
milliseconds: standard library only.

    launch.py PARENT_PID DEATH_SIGNAL USER REACH PROGRAM [ARGUMENT ...]

USER is UID:GID, or `-` for "as I am". REACH is 1 where that user cannot walk down to the program's files: a checkout
below a private folder, say. The folder is not opened to anybody; instead the program keeps, of root's powers, the one
to walk through folders (CAP_DAC_READ_SEARCH; CAP_DAC_OVERRIDE in containers that were not given the former).
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT = 1, 23, 28, 47
_PR_CAP_AMBIENT_RAISE = 2
#: a change of user leaves the powers alone, and access(2), by which PostgreSQL looks for its files, counts them
_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522

#: exit code where the program could not be started at all, as shells use it
CANNOT_START = 126


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _prctl(libc: ctypes.CDLL, *arguments: int) -> int:
    padded = [ctypes.c_ulong(number) for number in (*arguments, 0, 0, 0, 0)[:5]]
    result = int(libc.prctl(*padded))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _become(libc: ctypes.CDLL, uid: int, gid: int, reach: bool) -> None:
    """Take the user's identity; with `reach`, keep the power to walk through folders across exec."""
    power = _CAP_DAC_READ_SEARCH if _prctl(libc, _PR_CAPBSET_READ, _CAP_DAC_READ_SEARCH) else _CAP_DAC_OVERRIDE
    if reach:
        _prctl(libc, _PR_SET_SECUREBITS, _NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if reach:
        sets = (_Sets * 2)()
        sets[0] = _Sets(1 << power, 1 << power, 1 << power)
        if libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)) < 0:
            raise OSError(ctypes.get_errno(), "cannot keep the power to walk through folders")
        _prctl(libc, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, power)


def main(arguments: list[str]) -> None:
    """Set up this process, then become the program."""
    parent, death_signal, user, reach, *program = arguments
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if user != "-":
            uid, gid = user.split(":")
            _become(libc, int(uid), int(gid), reach == "1")
        # Last, because a change of user clears it.
        _prctl(libc, _PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        raise OSError("the parent ended before its child began")
    os.execvp(program[0], program)  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"{sys.argv[5] if len(sys.argv) > 5 else 'launch'}: cannot start: {error}\n")
        sys.exit(CANNOT_START)

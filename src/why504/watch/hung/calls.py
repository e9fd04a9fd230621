"""In which system call a thread is, and for which descriptors it waits there."""

from __future__ import annotations

import platform
import re
import struct
from typing import Final

from why504.watch.hung.proc import Proc

_X86: Final = {
    0: "read", 1: "write", 7: "poll", 17: "pread64", 19: "readv", 20: "writev", 23: "select",
    34: "pause", 35: "nanosleep", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom",
    46: "sendmsg", 47: "recvmsg", 61: "wait4", 73: "flock", 74: "fsync", 75: "fdatasync",
    202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 257: "openat",
    270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 426: "io_uring_enter",
    441: "epoll_pwait2",
}  # fmt: skip
_ARM: Final = {
    22: "epoll_pwait", 32: "flock", 56: "openat", 63: "read", 64: "write", 65: "readv",
    66: "writev", 67: "pread64", 72: "pselect6", 73: "ppoll", 82: "fsync", 83: "fdatasync",
    95: "waitid", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 202: "accept",
    203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg",
    242: "accept4", 260: "wait4", 426: "io_uring_enter", 441: "epoll_pwait2",
}  # fmt: skip
_NUMBERS: Final = {"x86_64": _X86, "aarch64": _ARM}
"""Machine -> number -> name: the calls that block."""
_OF_ONE: Final = frozenset(
    {"read", "write", "readv", "writev", "pread64", "connect", "accept", "accept4", "sendto"}
    | {"recvfrom", "sendmsg", "recvmsg", "flock", "fsync", "fdatasync"}
)
"""Calls whose first argument is the descriptor."""
_MOST_FDS: Final = 64


def call_of(proc: Proc, tid: int) -> tuple[str, tuple[int, ...]]:
    """Return the name of a thread's system call and the descriptors that it waits for.

    Both are empty while it runs, and where it may not be read.
    """
    row = proc.text(f"task/{tid}/syscall").split()
    if len(row) < 7 or not row[0].isdigit():
        return "", ()
    number = int(row[0])
    name = _NUMBERS.get(platform.machine(), {}).get(number, f"system call {number}")
    first, second = int(row[1], 16), int(row[2], 16)
    if name in ("select", "pselect6") and first == 0:
        return "sleep", ()  # of no descriptor at all: how Python slept before 3.11
    if name in _OF_ONE:
        return name, (first,)
    if name in ("poll", "ppoll"):
        return name, _polled(proc, first, second)
    if name.startswith("epoll"):
        return name, _registered(proc, first)
    return name, ()


def _polled(proc: Proc, address: int, count: int) -> tuple[int, ...]:
    """Return the descriptors of a `struct pollfd[]` in the other process's memory."""
    size = 8 * min(count, _MOST_FDS)
    try:
        with open(f"/proc/{proc.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            told = memory.read(size)
    except (OSError, ValueError, OverflowError):
        return ()
    rows = struct.iter_unpack("=ihh", told[: len(told) // 8 * 8])
    return tuple(fd for fd, _, _ in rows if fd >= 0)


def _registered(proc: Proc, epoll_fd: int) -> tuple[int, ...]:
    found = re.findall(r"^tfd:\s+(\d+)", proc.text(f"fdinfo/{epoll_fd}"), re.MULTILINE)
    return tuple(int(fd) for fd in found[:_MOST_FDS])

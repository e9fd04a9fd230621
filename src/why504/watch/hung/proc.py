"""`/proc` of one process: only read, each file at most a megabyte, and whatever is gone is gone."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from why504.diagnose.hung.snapshot import Child
from why504.errors import AttachError

_LARGEST: Final = 1 << 20
_MOST_FDS: Final = 100_000
_COMMAND_CHARS: Final = 300
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PYTHON: Final = re.compile(r"(^|/)(python|pypy)[\d.]*t?($| )|/libpython\d[\d.]*t?\.so")
_UNLIMITED_BYTES: Final = 1 << 60


class Stat(NamedTuple):
    """What `/proc/PID/stat` says."""

    state: str
    parent: int
    major_faults: int
    cpu_s: float
    started_s: float
    """After the machine started."""


class Proc:
    """The folder of one process."""

    def __init__(self, pid: int, root: Path = Path("/proc")) -> None:
        self.pid = pid
        self._root = root
        self._home = root / str(pid)

    def text(self, name: str) -> str:
        """Return a file of the process; empty where it can't be read, or is no more."""
        return _text(self._home / name)

    def stat(self) -> Stat:
        """Return its numbers.

        Raises:
            AttachError: there is no such process.
        """
        told = self.text("stat")
        if not told:
            raise AttachError(
                f"there is no process {self.pid} here. `ps ax | grep python` lists them; inside "
                "a container, processes of others are not seen (Kubernetes: shareProcessNamespace)"
            )
        return _stat(told)

    def command(self) -> str:
        """Return its command line, bounded."""
        return self.text("cmdline").replace("\0", " ").strip()[:_COMMAND_CHARS]

    def folder(self) -> str:
        """Return its working directory, to which its own paths are told; empty if unreadable."""
        try:
            return os.readlink(self._home / "cwd")
        except OSError:
            return ""

    def is_python(self) -> bool:
        """Return whether an interpreter runs in it; True where that can't be read."""
        try:
            program = os.readlink(self._home / "exe")
        except PermissionError:
            return True
        except OSError:
            return False
        return bool(_PYTHON.search(program)) or bool(_PYTHON.search(self.text("maps")))

    def age_s(self, stat: Stat) -> float:
        """Return for how long it has been there."""
        up = _text(self._root / "uptime").split()
        return max(0.0, float(up[0]) - stat.started_s) if up else 0.0

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        found = re.search(r"^VmRSS:\s+(\d+) kB", self.text("status"), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def fds(self) -> dict[int, str]:
        """Return what each of its descriptors is: `socket:[123]`; empty where not allowed."""
        found = {}
        try:
            with os.scandir(self._home / "fd") as rows:
                for _, row in zip(range(_MOST_FDS), rows, strict=False):
                    try:
                        found[int(row.name)] = os.readlink(row.path)
                    except OSError:
                        continue
        except OSError:
            return {}
        return found

    def fd_limit(self) -> int | None:
        """Return how many descriptors it may have."""
        found = re.search(r"^Max open files\s+(\d+)", self.text("limits"), re.MULTILINE)
        return int(found[1]) if found else None

    def tasks(self) -> list[int]:
        """Return the kernel's ids of its threads."""
        try:
            return sorted(int(name) for name in os.listdir(self._home / "task"))
        except OSError:
            return []

    def inner_tasks(self) -> dict[int, int]:
        """Return its threads' ids inside of its container -> their ids here."""
        found = {}
        for tid in self.tasks():
            row = re.search(r"^NSpid:\s+(.+)$", self.text(f"task/{tid}/status"), re.MULTILINE)
            if row:
                found[int(row[1].split()[-1])] = tid
        return found

    def thread_times(self, tid: int) -> tuple[float, float]:
        """Return for how long a thread ran, and for how long it was ready and had no core."""
        told = self.text(f"task/{tid}/schedstat").split()
        return (int(told[0]) / 1e9, int(told[1]) / 1e9) if len(told) >= 2 else (0.0, 0.0)

    def children(self) -> list[Child]:
        """Return the Python processes that it started, but for multiprocessing's helpers."""
        tasks = self.tasks()
        pids = {int(pid) for tid in tasks for pid in self.text(f"task/{tid}/children").split()}
        rows = ((Proc(pid, self._root), pid) for pid in sorted(pids))
        found = [Child(pid, proc.command()) for proc, pid in rows if proc.is_python()]
        return [child for child in found if "resource_tracker" not in child.command]

    def memory_limit_bytes(self) -> int | None:
        """Return the least limit of its cgroup and those around it; None without one."""
        files = ("memory.max", "memory.limit_in_bytes")
        told = (text.strip() for name in files for text in self._cgroup(name))
        limits = [int(text) for text in told if text.isdigit()]
        return min((limit for limit in limits if limit < _UNLIMITED_BYTES), default=None)

    def throttled_s(self) -> float | None:
        """Return for how long quotas kept its cgroup from running, ever; None where not told."""
        for text in self._cgroup("cpu.stat"):
            found = re.search(r"^throttled_(usec|time) (\d+)", text, re.MULTILINE)
            if found:
                return int(found[2]) / (1e6 if found[1] == "usec" else 1e9)
        return None

    def _cgroup(self, name: str) -> list[str]:
        """Return a file of its cgroups, the innermost first, in both versions' places."""
        found = []
        for line in self.text("cgroup").splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            wanted = name.partition(".")[0]
            if controllers and wanted not in controllers.split(","):
                continue
            mount = Path("/sys/fs/cgroup") / (wanted if controllers else "")
            inner = mount / path.lstrip("/")
            # A container sees its own cgroup as the root, and no path as the host has it.
            for folder in (inner, *(one for one in inner.parents if one.is_relative_to(mount))):
                found.append(_text(folder / name))
        return [text for text in found if text]


def _stat(told: str) -> Stat:
    # The name of a program may have spaces and brackets: what follows the last bracket counts.
    row = told.rpartition(")")[2].split()
    cpu_s = (int(row[11]) + int(row[12])) / _TICKS
    return Stat(row[0], int(row[1]), int(row[9]), cpu_s, int(row[19]) / _TICKS)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""

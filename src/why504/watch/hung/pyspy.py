"""The stacks of another process, by py-spy, without stopping it.

`--nonblocking`: py-spy reads memory while the process runs on. By default it would stop every
thread with ptrace, which interrupts system calls; a thread that hangs does not move anyway, and of
one that runs a bad sample is dropped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from why504.diagnose.hung.fold import Sampled
from why504.diagnose.hung.snapshot import Frame
from why504.errors import AttachError, AttachForbidden, MissingExtra

_LARGEST: Final = 64 << 20
_MOST_FRAMES: Final = 200
_FORBIDDEN: Final = ("permission denied", "operation not permitted", "os error 1)", "os error 13")


class PySpy:
    """The program, found once."""

    def __init__(self) -> None:
        """Find it beside this interpreter, else on PATH.

        Raises:
            MissingExtra: it is not installed.
        """
        folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
        beside = (str(folder / "py-spy") for folder in folders if (folder / "py-spy").exists())
        found = next(beside, None) or shutil.which("py-spy")
        if found is None:
            raise MissingExtra("attach")
        self._program = found

    def sample(self, pid: int, timeout_s: float) -> Mapping[int, Sampled]:
        """Return the stack of each thread, by the thread's id in the kernel.

        Where the interpreter does not know that (before 3.11), by its address, which is larger.

        Raises:
            AttachForbidden: this user may not read the process.
            AttachError: it is no Python process, it is gone, or reading took too long.
        """
        command = [self._program, "dump", "--json", "--nonblocking", "--pid", str(pid)]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=timeout_s, check=False, env=_environment()
            )
        except subprocess.TimeoutExpired as error:
            raise AttachError(
                f"py-spy could not read process {pid} in {timeout_s:.0f} s"
            ) from error
        except OSError as error:
            raise AttachError(f"can't start {self._program}: {error.strerror}") from error
        if done.returncode != 0:
            raise _refusal(pid, done.stderr.decode(errors="replace"))
        return parsed(done.stdout)


def parsed(told: bytes) -> Mapping[int, Sampled]:
    """Return what py-spy printed.

    Raises:
        AttachError: it is not what py-spy prints.
    """
    if len(told) > _LARGEST:
        raise AttachError(f"its stacks are {len(told) >> 20} MB, too many to read")
    try:
        rows: list[dict[str, Any]] = json.loads(told)
        return {_id(row): _sampled(row) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise AttachError("py-spy printed something else than stacks") from error


def _id(row: dict[str, Any]) -> int:
    """Return a thread's id in the kernel; before Python 3.11 only the main thread's is known."""
    if row["os_thread_id"] is not None:
        return int(row["os_thread_id"])
    return int(row["pid"] if row["thread_name"] == "MainThread" else row["thread_id"])


def _sampled(row: dict[str, Any]) -> Sampled:
    frames = tuple(
        Frame(str(frame["filename"]), int(frame["line"]), str(frame["name"]))
        for frame in row["frames"][:_MOST_FRAMES]
    )
    return Sampled(str(row["thread_name"] or ""), frames, bool(row["owns_gil"]))


def _refusal(pid: int, said: str) -> AttachError:
    first = next((line for line in said.splitlines() if line.strip()), "it said nothing")
    if not os.path.exists(f"/proc/{pid}"):
        return AttachError(f"process {pid} ended while it was looked at")
    if any(mark in said.lower() for mark in _FORBIDDEN):
        return AttachForbidden(
            f"process {pid} may not be read by this user. Try sudo; in a container start it with "
            "--cap-add SYS_PTRACE (Kubernetes: `kubectl debug --profile=sysadmin --target=…`, or "
            "securityContext.capabilities.add: [SYS_PTRACE], with shareProcessNamespace for a "
            "sidecar); on a host see /proc/sys/kernel/yama/ptrace_scope"
        )
    return AttachError(
        f"the stacks of process {pid} can't be read: {first.removeprefix('Error: ')}"
    )


def _environment() -> dict[str, str]:
    """Keep settings of ours away from it: it would print its own log, or a backtrace."""
    return {k: v for k, v in os.environ.items() if not k.startswith("RUST_")}

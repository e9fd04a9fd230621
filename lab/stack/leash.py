"""Runs one command that must not outlive the lab: `python -I -S leash.py FD ACCOUNT COMMAND ...`.

FD is one end of a socket whose other end only the lab's process has. It closes when that process
ends, however it ends, and then the command and all its descendants are ended. A death signal of
the kernel would not do: it is sent when the *thread* that started the command ends, and only to
the command itself. Runs without site-packages, so that it starts within milliseconds.

ACCOUNT is `same`, `namespace` (root seen as nobody, in a user namespace of its own: PostgreSQL
refuses root) or `nobody` (root becomes nobody).
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import threading

NOBODY = 65534
GRACE_S = 3.0
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Start the command, tell its pid, and wait until it or the lab ends."""
    lab = socket.socket(fileno=int(sys.argv[1]))
    lab.set_inheritable(False)
    leash = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(leash, sys.argv[2], sys.argv[3:])
    lab.send(f"{pid}\n".encode())
    ended = threading.Event()
    threading.Thread(target=_end_with_the_lab, args=(lab, pid, ended), daemon=True).start()
    _, status = os.waitpid(pid, 0)
    ended.set()
    _kill_group(pid)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(leash: int, account: str, command: list[str]) -> None:
    """Replace this process by the command; never returns."""
    try:
        os.setpgid(0, 0)
        if account == "namespace":
            _enter_user_namespace()
        elif account == "nobody":
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        if sys.platform == "linux":
            # After the change of account, which clears it: somebody may kill this leash itself.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != leash:
                return  # it was killed before that took effect
        os.execvp(command[0], command)  # noqa: S606 - a list, never a shell
    except OSError as error:
        print(f"can't run {command[0]} ({account}): {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(126)


def _enter_user_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _end_with_the_lab(lab: socket.socket, pid: int, ended: threading.Event) -> None:
    select.select([lab], [], [])
    signal_all(descendants(pid), signal.SIGCONT)
    signal_all([pid], signal.SIGTERM)
    if not ended.wait(GRACE_S):
        signal_all(descendants(pid), signal.SIGKILL)


def _kill_group(pid: int) -> None:
    """End what a command left behind: nginx's workers, say, after a crash of their master."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def descendants(pid: int) -> list[int]:
    """Return `pid` and the pids of all its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for child, parent in _processes():
        children.setdefault(parent, []).append(child)
    family = [pid]
    for member in family:  # grows while it is walked: breadth first
        family.extend(children.get(member, ()))
    return family


def _processes() -> list[tuple[int, int]]:
    """Return (pid, parent's pid) of every process; those that end meanwhile are left out."""
    if sys.platform != "linux":
        with os.popen("ps -A -o pid=,ppid=") as table:  # noqa: S605
            return [(int(a), int(b)) for a, b in (line.split() for line in table)]
    pairs = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The command's name, in brackets, may itself hold brackets and spaces.
                    pairs.append((int(name), int(file.read().rpartition(b")")[2].split()[1])))
            except OSError:
                continue
    return pairs


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to every process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    # The lab decides when this ends: ctrl-C reaches it through the lab.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())

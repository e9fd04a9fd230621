"""Looks made by hand: threads by the stacks that real ones have, and what surrounds them."""

from why504.diagnose.hung.guess import guess
from why504.diagnose.hung.scene import Scene
from why504.diagnose.hung.snapshot import Facts, Frame, Listener, Look, Socket, Thread

LIB = "/usr/lib/python3.11/"
SITE = "/app/.venv/lib/python3.11/site-packages/"
OWN = Frame("app/orders.py", 12, "pay")
MAIN = Frame("app/main.py", 9, "<module>")
PID = 1


def frame(file: str, function: str, line: int = 1) -> Frame:
    return Frame(file, line, function)


SELECT = frame(LIB + "selectors.py", "EpollSelector.select")
TURN = frame(LIB + "asyncio/base_events.py", "BaseEventLoop._run_once")
WORKER = frame(SITE + "anyio/_backends/_asyncio.py", "WorkerThread.run")
WAIT = frame(LIB + "threading.py", "Condition.wait")


def loop(*inside: Frame, **more: object) -> Thread:
    """The main thread with an event loop, free unless something runs inside."""
    frames = (*(inside or (SELECT,)), TURN, MAIN)
    own = next((one for one in inside if one == OWN), None)
    call = "epoll_wait" if not inside else "recvfrom"
    return thread(*frames, **{"tid": PID, "name": "MainThread", "call": call, "site": own, **more})


def thread(*frames: Frame, **more: object) -> Thread:
    told = {
        "tid": 7, "name": "Thread-7", "frames": frames, "samples": 10, "same": 10,
        "site": OWN if OWN in frames else None, "at_site": 10 if OWN in frames else 0,
    }  # fmt: skip
    return Thread(**{**told, **more})


def workers(count: int, *inside: Frame, **more: object) -> list[Thread]:
    """So many of AnyIO's threads at the same place."""
    return [
        thread(*inside, WORKER, **{"tid": 100 + n, "name": "AnyIO worker thread", **more})
        for n in range(count)
    ]


def client(**more: object) -> Socket:
    """A client whose request came 40 s ago, and was not answered."""
    told = {"sent_ago_s": 50.0, "received_ago_s": 40.0, "sent_bytes": 9, "received_bytes": 9}
    return connection(incoming=True, local_port=8000, **{**told, **more})


def connection(**more: object) -> Socket:
    told = {
        "fd": 5, "local": "10.0.0.1", "local_port": 40_000, "remote": "10.0.0.9",
        "remote_port": 9_999, "state": "ESTABLISHED", "unsent": 0, "unread": 0, "incoming": False,
        "sent_ago_s": 1.0, "received_ago_s": 1.0, "sent_bytes": 9, "received_bytes": 9,
    }  # fmt: skip
    return Socket(**{**told, **more})


def scene(
    *threads: Thread, sockets=(), listeners=None, unix=(), samples=10, **facts: object
) -> Scene:
    told = {
        "pid": PID, "command": "python -m app", "state": "S", "age_s": 60.0, "window_s": 2.0,
        "cpu_s": 0.0, "throttled_s": 0.0, "rss_bytes": 1 << 27, "memory_limit_bytes": 1 << 30,
        "major_faults": 0, "fds": 9, "fd_limit": 1024,
    }  # fmt: skip
    ports = [Listener("0.0.0.0", 8000, 0, 128)] if listeners is None else listeners
    return Scene(Look(Facts(**{**told, **facts}), samples, threads, sockets, ports, unix))


def guess_of(*threads: Thread, **more: object):
    return guess(scene(*threads, **more))

"""Traffic through the gateway while the world changes, and what its clients saw in each phase."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from lab.deployment import PYTHON
from lab.load import Plan, Reply, shots
from lab.prove.client import PLAN, REPLIES
from lab.stack.process import Process, Program, start

CLIENT_TIMEOUT_S: Final = 75.0
"""Longer than the gateway's: what a client gives up, nobody answered."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a run, in Unix seconds; `name` says what the world is like."""

    name: str
    start_s: float
    end_s: float

    def of(self, replies: Sequence[Reply]) -> list[Reply]:
        """Return the replies to what was sent in this phase."""
        return [reply for reply in replies if self.start_s <= reply.sent_s < self.end_s]


@dataclass(slots=True)
class Course:
    """The phases of a run in their order; one name may come several times."""

    phases: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note how long the block lasts."""
        began_s = time.time()
        yield
        self.phases.append(Phase(name, began_s, time.time()))

    def of(self, name: str) -> list[Phase]:
        """Return every phase of this name."""
        return [phase for phase in self.phases if phase.name == name]

    def replies(self, name: str, replies: Sequence[Reply]) -> list[Reply]:
        """Return the replies of every phase of this name."""
        return [each for phase in self.of(name) for each in phase.of(replies)]

    @property
    def names(self) -> list[str]:
        """Every name once, in order of first appearance."""
        return list(dict.fromkeys(phase.name for phase in self.phases))


def failed(replies: Sequence[Reply]) -> list[Reply]:
    """Return the replies that are not a success."""
    return [reply for reply in replies if not 200 <= reply.status < 300]


class Traffic:
    """An open-loop load by a process of its own; `replies()` grows meanwhile."""

    def __init__(self, process: Process, folder: Path, plan: Plan, seed: int) -> None:
        self._process = process
        self._folder = folder
        self._plan, self._seed = plan, seed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop(grace_s=0)

    @classmethod
    def start(cls, folder: Path, url: str, plan: Plan, *, seed: int) -> Self:
        """Send the plan through the gateway at `url`; `folder` gets the replies.

        Raises:
            LabError: the plan is too large, or the clients did not start.
        """
        folder.mkdir(parents=True)
        given = {**asdict(plan), "url": url, "seed": seed, "timeout_s": CLIENT_TIMEOUT_S}
        (folder / PLAN).write_text(json.dumps(given), encoding="utf-8")
        argv = [sys.executable, "-m", "lab.prove.client", str(folder)]
        replies = folder / REPLIES
        process = start(
            Program(argv, "clients", folder, PYTHON),
            ready=lambda: replies.is_file() and replies.stat().st_size > 0,
            timeout_s=30,
        )
        return cls(process, folder, plan, seed)

    def replies(self) -> list[Reply]:
        """Return what came back so far, in order of arrival."""
        with (self._folder / REPLIES).open(encoding="utf-8") as lines:
            return [Reply(**json.loads(line)) for line in lines if line.endswith("\n")]

    def finish(self) -> list[Reply]:
        """Send no more, wait for what is open, and return every reply.

        Raises:
            LabError: a request was open for longer than its client would wait.
        """
        self._process.send(signal.SIGTERM)
        self._process.wait(CLIENT_TIMEOUT_S + 15)
        return self.replies()

    def bodies(self, route: str, replies: Sequence[Reply]) -> list[Mapping[str, Any]]:
        """Return the bodies that a route's requests with these replies had."""
        planned = shots(self._plan, self._seed)
        sent = (planned[reply.number] for reply in replies)
        return [shot.body for shot in sent if shot.route == route and shot.body]

"""The broker killed, frozen and under memory alarm, beside clients who must not notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.load import Plan, Reply
from lab.prove import checks
from lab.prove.books import Books, wait_until
from lab.prove.deployment import Service
from lab.prove.run import Run
from lab.prove.traffic import Course, Traffic, failed
from lab.prove.verdict import Verdict
from lab.stack.rabbitmq import RabbitMQ

RATES: Final = {"end": 20.0, "end again": 2.0, "suggest": 10.0, "status": 18.0}
"""50 requests/s: mostly conversations that end, some of them sent a second time."""
HEALTHY: Final = "healthy"
DRAINING: Final = "draining"
"""After a fault: the relay and the workers catch up beside the traffic."""

Bodies = list[Mapping[str, Any]]
Act = Callable[[RabbitMQ], None]
FAULTS: Final[Mapping[str, tuple[Act, Act]]] = {
    "broker killed": (RabbitMQ.kill, RabbitMQ.restart),
    "broker frozen": (RabbitMQ.freeze, RabbitMQ.thaw),
    "broker under memory alarm": (lambda it: it.alarm(True), lambda it: it.alarm(False)),
}
"""What is done to the broker, and how it is undone."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of each phase; `drain_s` is the longest that catching up may take."""

    warm_up_s: float = 10.0
    healthy_s: float = 60.0
    fault_s: float = 60.0
    between_s: float = 30.0
    drain_s: float = 150.0

    @property
    def longest_s(self) -> float:
        """How long traffic is needed at most; acting on the broker takes time too."""
        each_s = self.fault_s + self.between_s + self.drain_s + 30
        return self.warm_up_s + self.healthy_s + len(FAULTS) * each_s


REHEARSAL: Final = Pace(warm_up_s=2, healthy_s=4, fault_s=4, between_s=2, drain_s=45)


def play(run: Run, service: Service, verdict: Verdict) -> tuple[Bodies, Bodies]:
    """Play every fault, check what clients saw, and return the conversations they handed over.

    Returns:
        (those that were taken, those of failed requests: each of them may have been stored).
    """
    pace = REHEARSAL if run.rehearsal else Pace()
    course = Course()
    plan = Plan(RATES, pace.longest_s)
    books = Books(service.database_url)
    with Traffic.start(run.folder / "traffic", service.gateway.url, plan, seed=1) as traffic:
        run.during("warming up", pace.warm_up_s)
        with course.phase(HEALTHY):
            run.during(f"all is well at {sum(RATES.values()):g} requests/s", pace.healthy_s)
        for name, (act, undo) in FAULTS.items():
            with course.phase(name):
                act(service.broker)
                run.during(name, pace.fault_s)
            with course.phase(DRAINING):
                undo(service.broker)
                _drain(run, books, pace.drain_s)
            with course.phase(HEALTHY):
                run.during("all is well again", pace.between_s)
        replies = traffic.finish()
        misses = failed(replies)
        lost = {reply.number for reply in misses}
        taken = [reply for reply in replies if reply.number not in lost]
        ended = traffic.bodies("end", taken), traffic.bodies("end", misses)
    _check(verdict, course, replies)
    checks.none_restarted(verdict, service.kept)
    return ended


def _drain(run: Run, books: Books, timeout_s: float) -> None:
    """Let traffic go on until hardly a conversation waits for its score."""
    run.say(f"the broker is back; {books.count('unscored')} conversations wait")
    if not wait_until(lambda: books.count("unscored") <= FEW_WAIT, timeout_s=timeout_s):
        run.say(f"{books.count('unscored')} still wait")


FEW_WAIT: Final = 150
"""What was stored before, and what is on its way at any moment."""


def _check(verdict: Verdict, course: Course, replies: Sequence[Reply]) -> None:
    # Before anything happened: what comes after a fault may suffer from it still.
    healthy = course.phases[0].of(replies)
    for name in (HEALTHY, *FAULTS, DRAINING):
        found = course.replies(name, replies)
        verdict.checks.append(checks.none_failed(name, found, healthy))
    verdict.checks += [checks.healthy(healthy), checks.punctual(replies)]
    for name in FAULTS:
        found = course.replies(name, replies)
        verdict.checks.append(checks.as_fast(name, found, healthy))
    checks.told(verdict, course, replies)

"""PostgreSQL frozen for 30 s, then killed and started again, beside ordinary traffic.

Requests fail by their own limits with a clear 503, and the service recovers within 5 s of
the database's return without a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg

from lab.load import Plan, Reply
from lab.prove import checks
from lab.prove.books import Books, wait_until
from lab.prove.deployment import API, APIS, WORKERS, Service, deploy
from lab.prove.metrics import read, total
from lab.prove.run import Run
from lab.prove.traffic import Course, Phase, Traffic, failed
from lab.prove.verdict import Check, Verdict
from lab.stack.process import start
from service.application.settings import Settings
from why504.names import METRIC_POOL_COUNT

RATES: Final = {"end": 12.0, "suggest": 8.0, "status": 7.0, "score": 1.5, "score and update": 1.5}
"""30 requests/s."""
HEALTHY: Final = "healthy"
CLEAR: Final = frozenset(
    f"urn:problem:{kind}" for kind in ("store-busy", "store-unavailable", "timed-out")
)
"""What a 503 may say of a database that does not answer."""
RECOVERED_S: Final = 5.0
RELAY_MOST: Final = 2
SLACK_S: Final = 1.0


@contextmanager
def _frozen(service: Service) -> Iterator[None]:
    service.database.process.freeze()
    yield
    service.database.process.thaw()


@contextmanager
def _killed(service: Service) -> Iterator[None]:
    program = service.database.process.program
    service.database.process.kill()
    yield
    service.database.process = start(program, ready=_takes_connections(service), timeout_s=30)


def _takes_connections(service: Service) -> Callable[[], bool]:
    def question() -> bool:
        try:
            psycopg.connect(service.database_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    return question


FAULTS: Final[Mapping[str, Callable[[Service], AbstractContextManager[None]]]] = {
    "PostgreSQL frozen": _frozen,
    "PostgreSQL killed": _killed,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of each phase."""

    warm_up_s: float = 10.0
    healthy_s: float = 30.0
    fault_s: float = 30.0
    after_s: float = 30.0

    @property
    def longest_s(self) -> float:
        """How long traffic is needed at most; a database that was killed takes time to start."""
        return self.warm_up_s + self.healthy_s + len(FAULTS) * (self.fault_s + self.after_s + 30)


REHEARSAL: Final = Pace(warm_up_s=2, healthy_s=3, fault_s=8, after_s=8)


def prove(run: Run) -> Verdict:
    """Take the database away twice, and check how requests end and how the service comes back."""
    pace = REHEARSAL if run.rehearsal else Pace()
    run.say("starting PostgreSQL, RabbitMQ, Valkey, nginx, two APIs, a relay, two workers")
    service = deploy(run.folder, run.stack)
    course, verdict = Course(), Verdict("prove-database")
    plan = Plan(RATES, pace.longest_s)
    with Traffic.start(run.folder / "traffic", service.gateway.url, plan, seed=4) as traffic:
        run.during("warming up", pace.warm_up_s)
        with course.phase(HEALTHY):
            run.during("all is well", pace.healthy_s)
        for name, fault in FAULTS.items():
            with course.phase(name), fault(service):
                run.during(name, pace.fault_s)
            with course.phase(f"after: {name}"):
                run.during("the database is back", pace.after_s)
        replies = traffic.finish()
    for name in FAULTS:
        _check(verdict, course, name, replies)
    verdict.checks.append(checks.punctual(replies))
    checks.none_restarted(verdict, service.kept)
    _check_rest(verdict, service)
    checks.told(verdict, course, replies)
    return verdict


def _check(verdict: Verdict, course: Course, name: str, replies: Sequence[Reply]) -> None:
    (away,), (after,) = course.of(name), course.of(f"after: {name}")
    limit_s = Settings().limits.application_s
    assert limit_s is not None  # noqa: S101 - the service's default
    found = away.of(replies)
    misses = failed(found)
    unclear = [each for each in misses if each.status != 503 or each.problem not in CLEAR]
    # What was open at the end of the phase may be the next fault's.
    late = [
        each.sent_s
        for each in failed(after.of(replies))
        if each.sent_s + each.latency_s < after.end_s
    ]
    longest_s = max((each.latency_s for each in found), default=float("nan"))
    verdict.checks += [
        Check(f"requests, {name}", len(found), 1, at_least=True),
        Check(f"ended by no clear 503, {name}", len(unclear), 0),
        Check(f"longest, {name}", round(longest_s, 2), limit_s + SLACK_S, "s"),
        Check(f"recovered after, {name}", _recovered_s(after, late), RECOVERED_S, "s"),
    ]
    verdict.facts[f"ended by a 503, {name}"] = len(misses)


def _recovered_s(after: Phase, late_s: Sequence[float]) -> float:
    """Return how long after its return a request still failed, 0 if none did."""
    return round(max(late_s) - after.start_s, 2) if late_s else 0.0


def _check_rest(verdict: Verdict, service: Service) -> None:
    """Check that nobody holds a connection when nothing is asked, and how many are open."""
    apis = service.of(API)

    def used() -> float:
        pages = [read(api.metrics_port, [METRIC_POOL_COUNT]) for api in apis]
        return sum(total(page, METRIC_POOL_COUNT, state="used") for page in pages)

    wait_until(lambda: used() == 0, timeout_s=RECOVERED_S)
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'context-handling%'"
    open_now = Books(service.database_url).rows(ours)[0][0]
    verdict.checks += [
        Check("connections in use at rest", used(), 0),
        Check("connections open at rest", open_now, _most_connections()),
    ]


def _most_connections() -> int:
    """Return how many connections the service may have: its pools, and one more a process."""
    settings = Settings()
    return APIS * (settings.pool_size + 1) + WORKERS * (settings.worker_pool_size + 1) + RELAY_MOST

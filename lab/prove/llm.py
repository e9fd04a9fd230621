"""Groq down, refusing and slow beside traffic that scores: every request keeps its budget.

No request above its budget, the database pool never above 50 % because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from lab.load import Plan, Reply
from lab.prove import checks
from lab.prove.books import wait_until
from lab.prove.deployment import API, LLM_S, Service, deploy
from lab.prove.metrics import Page, Watch, total
from lab.prove.run import Run
from lab.prove.supervisor import Kept
from lab.prove.traffic import Course, Phase, Traffic
from lab.prove.verdict import Check, Verdict
from lab.stack.process import start
from lab.stack.ready import listens
from service.application.settings import Settings, Timeouts
from why504.names import METRIC_POOL_COUNT, METRIC_POOL_MAX

SCORING: Final = ("score", "score and update")
RATES: Final = {"end": 10.0, "suggest": 6.0, "status": 6.0, "score": 2.0, "score and update": 2.0}
"""26 requests/s by day, of which 4 ask the LLM twice each."""
HEALTHY: Final = "healthy"
BREAKER: Final = "llm_breaker_state"
CLOSED, OPEN = 0.0, 2.0
WATCHED: Final = (METRIC_POOL_COUNT, METRIC_POOL_MAX, BREAKER)
WATCH_EVERY_S: Final = 0.2
MOST_PERCENT: Final = 50.0
"""Of the pool."""
SLACK_S: Final = 2.0
"""Beside the analysis a request waits for the database, the loop, and the gateway."""
SLOW_S: Final = 60.0


@contextmanager
def _down(service: Service) -> Iterator[None]:
    """Connections are refused."""
    program = service.groq.process.program
    service.groq.process.kill()
    yield
    service.groq.process = start(program, ready=listens(service.groq.port))


@contextmanager
def _limited(service: Service) -> Iterator[None]:
    """Every call gets 429."""
    service.groq.behave(limited=True, retry_after_s=2.0)
    yield
    service.groq.behave(limited=False)


@contextmanager
def _slow(service: Service) -> Iterator[None]:
    """Every call takes a minute."""
    service.groq.behave(delay_s=SLOW_S)
    yield
    service.groq.behave(delay_s=LLM_S)


FAULTS: Final[Mapping[str, Callable[[Service], AbstractContextManager[None]]]] = {
    "LLM down": _down,
    "LLM answers 429": _limited,
    "LLM slow, 60 s": _slow,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of each phase; `close_s` is the longest that breakers may take to close again."""

    warm_up_s: float = 10.0
    healthy_s: float = 60.0
    fault_s: float = 75.0
    between_s: float = 20.0
    close_s: float = 120.0
    time_scale: float = 1.0

    @property
    def longest_s(self) -> float:
        """How long traffic is needed at most."""
        each_s = self.fault_s + self.between_s + self.close_s + 10
        return self.warm_up_s + self.healthy_s + len(FAULTS) * each_s


REHEARSAL: Final = Pace(
    warm_up_s=2,
    healthy_s=3,
    fault_s=5,
    between_s=1,
    close_s=10,
    # Otherwise no breaker closes within seconds.
    time_scale=0.1,
)


def prove(run: Run) -> Verdict:
    """Play every fault of the LLM and check requests, pools and breakers."""
    pace = REHEARSAL if run.rehearsal else Pace()
    run.say("starting PostgreSQL, RabbitMQ, Valkey, nginx, two APIs, a relay, two workers")
    service = deploy(run.folder, run.stack, {"SERVICE_TIME_SCALE": str(pace.time_scale)})
    course, verdict = Course(), Verdict("prove-llm")
    plan = Plan(RATES, pace.longest_s)
    apis = service.of(API)
    with (
        Watch(apis, WATCHED, every_s=WATCH_EVERY_S) as watch,
        Traffic.start(run.folder / "traffic", service.gateway.url, plan, seed=2) as traffic,
    ):
        run.during("warming up", pace.warm_up_s)
        with course.phase(HEALTHY):
            run.during("all is well", pace.healthy_s)
        for name, fault in FAULTS.items():
            with course.phase(name), fault(service):
                run.during(name, pace.fault_s)
            with course.phase(f"after: {name}"):
                run.say("the LLM is back; waiting for the breakers to close")
                wait_until(lambda: _closed(watch, apis) == len(apis), timeout_s=pace.close_s)
            opened = sum(_opened(watch, api, course.phases[-2:]) for api in apis)
            verdict.checks += [
                Check(f"breakers opened, {name}", opened, len(apis), at_least=True),
                Check(
                    f"breakers closed after, {name}", _closed(watch, apis), len(apis), at_least=True
                ),
            ]
            with course.phase(HEALTHY):
                run.during("all is well again", pace.between_s)
        replies = traffic.finish()
    _check_requests(verdict, course, replies, Settings(time_scale=pace.time_scale).limits)
    _check_pools(verdict, course, watch)
    checks.none_restarted(verdict, service.kept)
    return verdict


def _opened(watch: Watch, api: Kept, phases: Sequence[Phase]) -> bool:
    return watch.most(phases, lambda page: total(page, BREAKER), of=api.program.name) == OPEN


def _closed(watch: Watch, apis: Sequence[Kept]) -> int:
    pages = (watch.latest(api.program.name) for api in apis)
    return sum(bool(page) and total(page, BREAKER) == CLOSED for page in pages)


def _used(page: Page) -> float:
    """Return the share of the pool that is in use, in percent."""
    most = total(page, METRIC_POOL_MAX)
    return 100 * total(page, METRIC_POOL_COUNT, state="used") / most if most else float("nan")


def _check_requests(
    verdict: Verdict, course: Course, replies: Sequence[Reply], limits: Timeouts
) -> None:
    assert limits.analysis_s is not None  # noqa: S101 - the service's default
    assert limits.application_s is not None  # noqa: S101 - the same
    healthy = course.replies(HEALTHY, replies)
    verdict.checks += [checks.healthy(_others(healthy)), checks.punctual(replies)]
    for name in FAULTS:
        found = course.replies(name, replies)
        verdict.checks += [
            checks.none_failed(name, found, healthy),
            _longest(f"scoring, {name}", _scoring(found), limits.analysis_s + SLACK_S, healthy),
            _longest(f"any request, {name}", found, limits.application_s, healthy),
            checks.as_fast(f"other routes, {name}", _others(found), _others(healthy)),
        ]
    checks.told(verdict, course, replies)


def _longest(what: str, found: Sequence[Reply], target_s: float, healthy: Sequence[Reply]) -> Check:
    longest_s, usual_s = (
        round(max((reply.latency_s for reply in each), default=float("nan")), 3)
        for each in (found, healthy)
    )
    return Check(f"longest, {what}", longest_s, target_s, "s", usual_s)


def _scoring(replies: Sequence[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.route in SCORING]


def _others(replies: Sequence[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.route not in SCORING]


def _check_pools(verdict: Verdict, course: Course, watch: Watch) -> None:
    usual = watch.most(course.of(HEALTHY), _used)
    for name in FAULTS:
        most = watch.most(course.of(name), _used)
        verdict.checks.append(Check(f"pool in use at most, {name}", most, MOST_PERCENT, "%", usual))
    verdict.facts["pool samples"] = len(watch.readings)

"""The nightly job over 10,000 users beside the traffic of the day, killed half-way and resumed.

Daytime p99 within 2x of that without the job.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.load import Plan, Reply
from lab.prove import checks
from lab.prove.books import wait_until
from lab.prove.deployment import deploy
from lab.prove.expected import outcome
from lab.prove.night import CONCURRENCY, Night, write_users
from lab.prove.run import Run
from lab.prove.traffic import Course, Traffic
from lab.prove.verdict import Check, Verdict

RATES: Final = {"end": 8.0, "suggest": 6.0, "status": 5.0, "score": 1.0}
"""20 requests/s."""
ALONE: Final = "without the job"
BESIDE: Final = "beside the job"
CALLS_A_USER: Final = 2
"""One conversation each, of which the LLM is asked twice."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many users at which rate; `job_s` is the longest that the job may take."""

    users: int = 10_000
    users_per_s: float = 35.0
    warm_up_s: float = 10.0
    alone_s: float = 60.0
    job_s: float = 600.0


REHEARSAL: Final = Pace(users=60, users_per_s=20, warm_up_s=2, alone_s=3, job_s=40)


def prove(run: Run) -> Verdict:
    """Measure the day alone, then beside the job, and check what the job did."""
    pace = REHEARSAL if run.rehearsal else Pace()
    run.say("starting PostgreSQL, RabbitMQ, Valkey, nginx, two APIs, a relay, two workers")
    most = {"SERVICE_NIGHTLY_MOST_USERS": str(pace.users)}
    service = deploy(run.folder, run.stack, most)
    run.say(f"writing {pace.users:,} users")
    bodies = write_users(service.database_url, pace.users)
    night = Night.prepare(service, run.stack, users_per_s=pace.users_per_s)
    course, verdict = Course(), Verdict("prove-nightly")
    plan = Plan(RATES, pace.warm_up_s + pace.alone_s + pace.job_s + 60)
    with Traffic.start(run.folder / "traffic", service.gateway.url, plan, seed=5) as traffic:
        run.during("warming up", pace.warm_up_s)
        with course.phase(ALONE):
            run.during("the day alone", pace.alone_s)
        with course.phase(BESIDE):
            _job(run, night, pace, verdict)
        replies = traffic.finish()
    _check_day(verdict, course, replies)
    _check_night(verdict, night, bodies)
    checks.none_restarted(verdict, service.kept)
    return verdict


def _job(run: Run, night: Night, pace: Pace, verdict: Verdict) -> None:
    """Start the job, kill it half-way, start it again and wait for its end."""
    began_s = time.monotonic()
    run.say(f"the nightly job begins: {pace.users:,} users, {pace.users_per_s:g} a second")
    job = run.stack.enter_context(night.start())
    wait_until(lambda: night.scored >= pace.users // 2 or not job.alive, timeout_s=pace.job_s / 2)
    at = night.scored
    job.kill()
    run.say(f"kill -9 after {at:,} users; the job is started again")
    job = run.stack.enter_context(night.start())
    left_s = pace.job_s - (time.monotonic() - began_s)
    ended = wait_until(lambda: not job.alive, timeout_s=left_s)
    took_s = round(time.monotonic() - began_s, 1)
    run.say(f"the job ended after {took_s:g} s" if ended else "the job did not end")
    verdict.checks += [
        Check("the job's exit code", job.wait(0) if ended else float("nan"), 0),
        Check("the job took", took_s, pace.job_s, "s"),
    ]
    verdict.facts |= {"killed after users": at, "users a second": round(pace.users / took_s, 1)}


def _check_day(verdict: Verdict, course: Course, replies: Sequence[Reply]) -> None:
    alone, beside = course.replies(ALONE, replies), course.replies(BESIDE, replies)
    verdict.checks += [
        checks.healthy(alone),
        checks.punctual(replies),
        checks.as_fast(BESIDE, beside, alone),
        checks.none_failed(BESIDE, beside, alone),
    ]
    checks.told(verdict, course, replies)


def _check_night(verdict: Verdict, night: Night, bodies: Sequence[Mapping[str, Any]]) -> None:
    found = night.books.differences({body["conversation_id"]: outcome(body) for body in bodies})
    done, failed, finished = night.done
    users = len(bodies)
    verdict.checks += [
        Check("users done", done if finished else float("nan"), users, at_least=True),
        Check("users failed", failed, 0),
        Check("conversations without effect", found.without_effect, 0),
        Check("conversations with a wrong effect", found.wrong_effect, 0),
        Check("users whose score or topics are wrong", found.wrong_users, 0),
        # Those under way when it was killed are asked about again, and nobody else.
        Check("LLM calls", night.llm_calls, CALLS_A_USER * (users + CONCURRENCY)),
        Check(
            "scores that are no sum of the ledger", night.books.count("scores that are no sum"), 0
        ),
        Check(
            "topics that are no sum of the ledger", night.books.count("topics that are no sum"), 0
        ),
    ]

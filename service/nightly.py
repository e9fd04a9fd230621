"""The nightly job's composition root: `python -m service.nightly [--night 2026-11-23]`.

It runs beside the daytime service, so it takes little of everything: connections of its own, a
low priority for the processor, a number of users a second. Start it again after 1 or 4, and it goes
on where it was; users that failed (5) have their turn in the next night.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Final

from prometheus_client import CollectorRegistry
from psycopg import OperationalError
from rich.progress import Progress

from service.application.analyse_session import AnalyseSession
from service.application.errors import Unavailable
from service.application.ports.nightly_log import NightlyRun
from service.application.recompute_night import NightlyPace, RecomputeNight
from service.application.settings import Settings
from service.application.update_score import UpdateScore
from service.infrastructure.db.engine import connector, make_engine
from service.infrastructure.db.nightly_log import only_job
from service.infrastructure.db.unit_of_work import units_of_work
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.metrics_server import serve_metrics

NAME: Final = "context-handling-nightly"
"""What the database calls the job."""
NICENESS: Final = 10

OnProgress = Callable[[NightlyRun], None]


class Exit(IntEnum):
    """How the job ended, for cron; argparse takes 2."""

    FINISHED = 0
    STORE_UNAVAILABLE = 1
    ANOTHER_RUNS = 3
    STOPPED = 4
    USERS_FAILED = 5


async def run_night(settings: Settings, night: date, on_progress: OnProgress) -> Exit:
    """Run one night's job to its end, or until SIGTERM or SIGINT; users under way are finished."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    limits = settings.limits
    connect = connector(
        settings.database_url, application_name=NAME, limits=limits, connect_s=limits.checkout_s
    )
    try:
        async with only_job(connect) as alone:
            if not alone:
                return Exit.ANOTHER_RUNS
            async with _wired(settings, on_progress) as recompute:
                run = await recompute(night, stop)
    except (Unavailable, OperationalError) as error:
        _tell("nightly_unavailable", error=type(error).__name__)
        return Exit.STORE_UNAVAILABLE
    if not run.finished:
        return Exit.STOPPED
    return Exit.USERS_FAILED if run.users_failed else Exit.FINISHED


@asynccontextmanager
async def _wired(settings: Settings, on_progress: OnProgress) -> AsyncIterator[RecomputeNight]:
    budget_s = settings.limits.worker_analysis_s
    registry = CollectorRegistry()
    engine = make_engine(settings, name=NAME, pool_size=settings.nightly_pool_size)
    reader = GroqEmotionReader(settings, registry, budget_s=budget_s)
    memory = make_memory(settings, registry)
    begin_work = units_of_work(engine)
    try:
        with serve_metrics(registry, settings.metrics_port):
            yield RecomputeNight(
                begin_work,
                UpdateScore(begin_work, AnalyseSession(reader, memory, budget_s), memory),
                pace=NightlyPace(
                    most_users=settings.nightly_most_users,
                    concurrency=settings.nightly_concurrency,
                    users_per_s=settings.nightly_users_per_s,
                ),
                on_progress=on_progress,
                # A message may quote what it stumbled over; the kind of error does not.
                on_failure=lambda error: _tell("nightly_user_failed", error=type(error).__name__),
            )
    finally:
        await reader.aclose()
        await memory.aclose()
        await engine.dispose()


@contextmanager
def progress_shown() -> Iterator[OnProgress]:
    """Show progress as a bar in a terminal, as one JSON line a page of users elsewhere."""
    if not sys.stdout.isatty():
        yield _tell_progress
        return
    with Progress() as bar:
        task = bar.add_task("users", total=None)

        def draw(run: NightlyRun) -> None:
            bar.update(task, total=run.users_total, completed=run.users_done)

        yield draw


def _tell_progress(run: NightlyRun) -> None:
    _tell(
        "nightly_progress",
        night=run.night.isoformat(),
        users_done=run.users_done,
        users_failed=run.users_failed,
        users_total=run.users_total,
        finished=run.finished,
    )


def _tell(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the job and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.nightly", description=__doc__)
    parser.add_argument("--night", type=date.fromisoformat, default=datetime.now(UTC).date())
    night: date = parser.parse_args().night
    os.nice(NICENESS)
    with progress_shown() as on_progress:
        ended = asyncio.run(run_night(Settings(), night, on_progress))
    _tell("nightly_ended", night=night.isoformat(), outcome=ended.name.lower())
    return ended


if __name__ == "__main__":
    sys.exit(main())

"""The nightly job: what the day could not read is read, and every status is held to its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from service.application.errors import StoreUnavailable
from service.application.ports.nightly_log import NightlyRun
from service.application.ports.unit_of_work import BeginWork
from service.application.update_score import UpdateScore
from service.domain.ledger import agree, settled

PAGE: Final = 100
"""Users between two notes of how far the job came: what a killed job does again at most."""


@dataclass(frozen=True, slots=True)
class NightlyPace:
    """How much of the machine the job may take."""

    most_users: int
    concurrency: int
    users_per_s: float


class RecomputeNight:
    """Users in order of id; a job that was killed goes on where it was."""

    def __init__(
        self,
        begin_work: BeginWork,
        update_score: UpdateScore,
        *,
        pace: NightlyPace,
        on_progress: Callable[[NightlyRun], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._begin_work = begin_work
        self._update_score = update_score
        self._pace = pace
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._next_s = 0.0

    async def __call__(self, night: date, stop: asyncio.Event) -> NightlyRun:
        """Return the run as it ended: finished, or where `stop` found it.

        Raises:
            Unavailable: the store could not be told how far the job came; start it again.
        """
        async with self._begin_work() as work:
            total = await work.friendships.count_users(most=self._pace.most_users)
            run = await work.nights.begin(night, users_total=total)
            await work.commit()
        while not run.finished and not stop.is_set():
            run = await self._page(run, stop)
            self._on_progress(run)
        return run

    async def _page(self, run: NightlyRun, stop: asyncio.Event) -> NightlyRun:
        limit = min(PAGE, self._pace.most_users - run.users_done)
        async with self._begin_work() as work:
            users = await work.friendships.users(after=run.done_up_to, limit=max(0, limit))
        outcomes = await self._recompute(users, stop)
        done = replace(
            run,
            done_up_to=users[len(outcomes) - 1] if outcomes else run.done_up_to,
            users_done=run.users_done + len(outcomes),
            users_failed=run.users_failed + outcomes.count(False),
            finished=not users,
        )
        async with self._begin_work() as work:
            await work.nights.save(done)
            await work.commit()
        return done

    async def _recompute(self, users: Sequence[str], stop: asyncio.Event) -> list[bool]:
        """Return whether each user that was begun went well: the first ones of `users`."""
        outcomes: list[bool] = []
        waiting = iter(users)

        async def work_off() -> None:
            for user_id in waiting:
                place = len(outcomes)
                outcomes.append(False)
                outcomes[place] = await self._user(user_id)
                await self._pause(stop)
                if stop.is_set():
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._pace.concurrency):
                    group.create_task(work_off())
        except* StoreUnavailable as failures:
            # The page is not done: a store that is away for a moment must cost no user the night.
            raise StoreUnavailable("the store went away") from failures
        return outcomes

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait for the turn of the next user, or for the end of the job."""
        now_s = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now_s) + 1 / self._pace.users_per_s
        try:
            async with asyncio.timeout_at(self._next_s):
                await stop.wait()
        except TimeoutError:
            return

    async def _user(self, user_id: str) -> bool:
        try:
            async with self._begin_work() as work:
                unread = await work.ledger.unread(user_id)
            for conversation_id in unread:
                await self._update_score(conversation_id)
            await self._settle(user_id)
        except StoreUnavailable:
            raise
        except Exception as error:
            # One user's trouble, of whatever kind, must not cost the others their night.
            self._on_failure(error)
            return False
        return True

    async def _settle(self, user_id: str) -> None:
        async with self._begin_work() as work:
            status = await work.friendships.lock(user_id)
            right = settled(status, await work.ledger.totals(user_id))
            if not agree(status, right):
                await work.friendships.save(right)
            await work.commit()

"""The composition root: the only place where ports meet adapters.

`uvicorn --factory service.main:create_app`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

import why504
from service.application.analyse_session import AnalyseSession
from service.application.check_health import CheckHealth
from service.application.end_conversation import EndConversation
from service.application.ports.emotion_reader import EmotionReader
from service.application.ports.event_publisher import EventPublisher
from service.application.ports.health_check import HealthCheck
from service.application.ports.memory import Memory
from service.application.ports.unit_of_work import BeginWork
from service.application.read_status import ReadStatus
from service.application.score_conversation import ScoreConversation, ScoreWithoutHolding
from service.application.settings import Settings
from service.application.suggest_activities import SuggestActivities
from service.application.update_score import UpdateScore
from service.infrastructure.api.edge import Edge
from service.infrastructure.api.problems import handle_problems
from service.infrastructure.api.request_log import written_to
from service.infrastructure.api.routes import UseCases, build_router
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.health_check import PostgresCheck
from service.infrastructure.db.unit_of_work import units_of_work
from service.infrastructure.ladder import limits_in_force
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.event_publisher import OutboxPublisher
from service.infrastructure.messaging.health_check import RabbitMQCheck
from service.infrastructure.redis.health_check import RedisCheck


def _outbox(_: Settings) -> EventPublisher:
    return OutboxPublisher()


def _check_health(settings: Settings) -> CheckHealth:
    # Without these two requests are served all the same: limits are counted alone, and messages
    # wait in the outbox.
    optional: list[HealthCheck] = []
    if settings.redis_url is not None:
        optional.append(RedisCheck(settings.redis_url, limit_s=settings.limits.health_s))
    if settings.broker_url is not None:
        optional.append(RabbitMQCheck(settings))
    return CheckHealth(
        [PostgresCheck(settings)],
        optional,
        limit_s=settings.limits.health_s,
        every_s=settings.health_every_s,
    )


@dataclass(frozen=True, slots=True)
class Adapters:
    """How each replaceable part is made; the defaults are the service as it should be."""

    units_of_work: Callable[[AsyncEngine], BeginWork] = units_of_work
    event_publisher: Callable[[Settings], EventPublisher] = _outbox
    emotion_reader: Callable[[Settings, CollectorRegistry], EmotionReader] = GroqEmotionReader
    memory: Callable[[Settings, CollectorRegistry], Memory] = make_memory
    check_health: Callable[[Settings], CheckHealth] = _check_health
    score_conversation: Callable[[BeginWork, AnalyseSession], ScoreConversation] = (
        ScoreWithoutHolding
    )


def create_app(settings: Settings | None = None, *, adapters: Adapters | None = None) -> FastAPI:
    """Return the service, wired; settings are read from the environment when omitted."""
    settings = settings or Settings()
    adapters = adapters or Adapters()
    engine = make_engine(settings)
    registry = CollectorRegistry()
    edge = Edge(settings, registry)
    reader = adapters.emotion_reader(settings, registry)
    memory = adapters.memory(settings, registry)
    health = adapters.check_health(settings)
    app = FastAPI(
        title="Context handling",
        description="What an AI companion remembers about its relation with a user.",
        middleware=edge.middleware,
        lifespan=_lifespan(health, engine.dispose, edge.aclose, memory.aclose, reader.aclose),
    )
    handle_problems(app)
    begin_work = adapters.units_of_work(engine)
    analyse = AnalyseSession(reader, memory, settings.limits.analysis_s)
    use_cases = UseCases(
        end_conversation=EndConversation(
            begin_work, adapters.event_publisher(settings), now=lambda: datetime.now(UTC)
        ),
        suggest_activities=SuggestActivities(begin_work),
        score_conversation=adapters.score_conversation(begin_work, analyse),
        update_score=UpdateScore(begin_work, analyse, memory),
        read_status=ReadStatus(begin_work),
        check_health=health,
    )
    app.include_router(build_router(use_cases))
    if settings.instrument:
        limits = limits_in_force(settings)
        why504.instrument(app, engine=engine, metrics=registry, limits=limits)
    return app


def _lifespan(
    health: CheckHealth, *closing: Callable[[], Awaitable[None]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.enter_context(written_to(sys.stdout))
            for close in closing:
                stack.push_async_callback(close)
            looking = asyncio.create_task(health.keep_looking())
            stack.callback(looking.cancel)
            yield

    return lifespan

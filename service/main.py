"""The composition root: the only place where ports meet adapters.

`uvicorn --factory service.main:create_app`
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware import Middleware

import why504
from service.application.analyse_session import AnalyseSession
from service.application.check_health import CheckHealth
from service.application.end_conversation import EndConversation
from service.application.ports.emotion_reader import EmotionReader
from service.application.ports.event_publisher import EventPublisher
from service.application.ports.memory import Memory
from service.application.ports.unit_of_work import BeginWork
from service.application.score_conversation import ScoreConversation, ScoreWithoutHolding
from service.application.settings import Settings
from service.application.suggest_activities import SuggestActivities
from service.infrastructure.api.body_limit import BodyLimit
from service.infrastructure.api.deadline import Deadline
from service.infrastructure.api.problems import handle_problems
from service.infrastructure.api.request_log import RequestLog, written_to
from service.infrastructure.api.routes import UseCases, build_router
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.health_check import PostgresCheck
from service.infrastructure.db.unit_of_work import units_of_work
from service.infrastructure.ladder import limits_in_force
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.event_publisher import OutboxPublisher


def _outbox(_: Settings) -> EventPublisher:
    return OutboxPublisher()


@dataclass(frozen=True, slots=True)
class Adapters:
    """How each replaceable part is made; the defaults are the service as it should be."""

    units_of_work: Callable[[AsyncEngine], BeginWork] = units_of_work
    event_publisher: Callable[[Settings], EventPublisher] = _outbox
    emotion_reader: Callable[[Settings, CollectorRegistry], EmotionReader] = GroqEmotionReader
    score_conversation: Callable[[BeginWork, AnalyseSession], ScoreConversation] = (
        ScoreWithoutHolding
    )


def create_app(settings: Settings | None = None, *, adapters: Adapters | None = None) -> FastAPI:
    """Return the service, wired; settings are read from the environment when omitted."""
    settings = settings or Settings()
    adapters = adapters or Adapters()
    engine = make_engine(settings)
    registry = CollectorRegistry()
    reader = adapters.emotion_reader(settings, registry)
    memory = make_memory(settings, registry)
    analyse = AnalyseSession(reader, memory, settings.limits.analysis_s)
    app = FastAPI(
        title="Context handling",
        middleware=[
            Middleware(RequestLog),
            Middleware(Deadline, limit_s=settings.limits.application_s),
            Middleware(BodyLimit, limit_bytes=settings.body_limit_bytes),
        ],
        lifespan=_lifespan(engine, reader, memory),
    )
    handle_problems(app)
    app.include_router(build_router(_use_cases(settings, adapters, engine=engine, analyse=analyse)))
    if settings.instrument:
        why504.instrument(app, engine=engine, limits=limits_in_force(settings))
    return app


def _use_cases(
    settings: Settings, adapters: Adapters, *, engine: AsyncEngine, analyse: AnalyseSession
) -> UseCases:
    begin_work = adapters.units_of_work(engine)
    return UseCases(
        end_conversation=EndConversation(
            begin_work, adapters.event_publisher(settings), now=lambda: datetime.now(UTC)
        ),
        suggest_activities=SuggestActivities(begin_work),
        score_conversation=adapters.score_conversation(begin_work, analyse),
        check_health=CheckHealth(
            [PostgresCheck(settings)],
            limit_s=settings.limits.health_s,
            cache_s=settings.health_every_s,
        ),
    )


def _lifespan(
    engine: AsyncEngine, reader: EmotionReader, memory: Memory
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.enter_context(written_to(sys.stdout))
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(memory.aclose)
            stack.push_async_callback(reader.aclose)
            yield

    return lifespan

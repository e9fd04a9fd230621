"""The worker's composition root: `python -m service.worker`, any number of them.

It analyses finished conversations. With SERVICE_BROKER_URL it takes them from RabbitMQ, where a
relay puts them; without it, straight from the outbox.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

import why504
from service.application.analyse_session import AnalyseSession
from service.application.ports.message_source import MessageSource
from service.application.process_conversation import ProcessConversation
from service.application.settings import Settings
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.unit_of_work import units_of_work
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.metrics import ConsumerMetrics
from service.infrastructure.messaging.metrics_server import serve_metrics
from service.infrastructure.messaging.outbox_source import OutboxSource
from service.infrastructure.messaging.rabbit_source import RabbitSource
from service.infrastructure.messaging.worker_loop import Process, WorkerLoop

NAME: Final = "context-handling-worker"
"""What the database calls a worker."""
NICENESS: Final = 15
"""Catching up after an outage takes every core there is: requests go first."""

Processing = Callable[
    [Settings, AsyncEngine, CollectorRegistry, AsyncExitStack],
    Process,
]
"""Makes what is done with a message; what must be closed at the end goes onto the stack."""


def analysing(
    settings: Settings,
    engine: AsyncEngine,
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> Process:
    """Return the worker's real task: score the conversation."""
    budget_s = settings.limits.worker_analysis_s
    reader = GroqEmotionReader(settings, registry, budget_s=budget_s)
    stack.push_async_callback(reader.aclose)
    memory = make_memory(settings, registry)
    stack.push_async_callback(memory.aclose)
    analyse = AnalyseSession(reader, memory, budget_s)
    return ProcessConversation(units_of_work(engine), analyse, memory)


async def run_worker(settings: Settings, *, processing: Processing = analysing) -> None:
    """Work until SIGTERM or SIGINT; then finish what was begun, or put it back."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(registry)
    async with AsyncExitStack() as stack:
        engine = make_engine(settings, name=NAME, pool_size=settings.worker_pool_size)
        stack.push_async_callback(engine.dispose)
        stack.enter_context(serve_metrics(registry, settings.metrics_port))
        if settings.instrument:
            why504.instrument(None, engine=engine)
        process = processing(settings, engine, registry, stack)
        source = _source(settings, engine, metrics)
        await WorkerLoop(source, process, settings=settings, metrics=metrics).run(stopping)


def _source(settings: Settings, engine: AsyncEngine, metrics: ConsumerMetrics) -> MessageSource:
    if settings.broker_url is None:
        return OutboxSource(engine, settings, metrics=metrics)
    return RabbitSource(settings, metrics=metrics)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    # pika tells each attempt several times over; what matters is told by broker_thread.py.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # A line for each call of the LLM, which spans and metrics tell better.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Where they share a machine, requests go first: a conversation can wait in the queue.
    os.nice(NICENESS)
    asyncio.run(run_worker(Settings()))

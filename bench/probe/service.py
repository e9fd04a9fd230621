"""The service that all variants instrument: a trivial request, three ORM queries, many spans."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from sqlalchemy import Engine, ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import why504

SPANS: Final = 9
"""That `/spans` makes by OpenTelemetry's API, as libraries do; the server's is the tenth."""
PLACES: Final = 15
"""For requests to `/hang`, of which each calls something that never answers."""
_CALL: Final = {"http.request.method": "POST", "server.address": "llm.example.org"}
_USERS: Final = 50
_ITEMS: Final = 10
"""Of each user."""


class Base(DeclarativeBase):
    """What SQLAlchemy wants to know of the tables."""


class User(Base):
    """Who asks."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(Base):
    """What is asked for."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    title: Mapped[str]


def database(folder: Path) -> Engine:
    """Return an engine on an SQLite file of its own; in /dev/shm no disk is measured."""
    engine = create_engine(f"sqlite:///{folder / 'bench.sqlite'}")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(User(id=n, name=f"user {n}") for n in range(_USERS))
        session.add_all(Item(user_id=n % _USERS, title=f"item {n}") for n in range(_USERS * _ITEMS))
        session.commit()
    return engine


def application(engine: Engine) -> FastAPI:
    """Return the application; whatever a variant does to the class is done by now."""
    app = FastAPI()
    tracer = trace.get_tracer("bench")
    never = asyncio.Event()
    gate = why504.resource("bench.gate", asyncio.Semaphore(PLACES))

    @app.get("/trivial")
    async def trivial() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/three/{user_id}")
    async def three(user_id: int) -> dict[str, Any]:
        with Session(engine) as session:
            user = session.get(User, user_id)
            items = session.scalars(select(Item).where(Item.user_id == user_id).limit(_ITEMS)).all()
            count = session.scalar(select(func.count()).select_from(Item))
            titles = [item.title for item in items]
            return {"user": user and user.name, "items": titles, "of": count}

    @app.get("/spans")
    async def spans() -> dict[str, int]:
        for number in range(SPANS):
            with tracer.start_as_current_span("step") as span:
                span.set_attribute("step.number", number)
                span.set_attribute("step.name", "one of many")
        return {"spans": SPANS}

    @app.get("/hang")
    async def hang() -> None:
        async with gate:
            with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=_CALL):
                await never.wait()

    return app

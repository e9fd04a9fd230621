"""The composition root of the synchronous service."""

from __future__ import annotations

from fastapi import FastAPI

import why504
from lab.sync.routes import UseCases, build_router
from lab.sync.sessions import closed_sessions, make_engine
from lab.sync.variants import Parts
from service.application.settings import Settings
from service.infrastructure.api.problems import handle_problems


def create_service(parts: Parts, broker_url: str) -> FastAPI:
    """Return the application, wired; settings are read from the environment."""
    settings = Settings()
    engine = make_engine(settings)
    checks = make_engine(settings)
    use_cases = UseCases(
        begin_work=parts.sessions(engine),
        begin_check=closed_sessions(checks),
        publish=parts.publish(broker_url),
        reader=parts.reader(settings),
        score=parts.score,
    )
    app = FastAPI(title="Context handling, synchronous")
    handle_problems(app)
    app.include_router(build_router(use_cases))
    why504.instrument(app, engine={"main": engine, "health": checks})
    return app

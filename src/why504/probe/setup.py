"""`instrument(app, engine=...)`: how an application gets its probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from why504.config import ProbeSettings
from why504.probe.limits import sync_engine
from why504.probe.probe import PROBE, Probe

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prometheus_client import CollectorRegistry
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Probe", "instrument"]


def instrument(
    app: FastAPI | None,
    *,
    engine: Engine | AsyncEngine | Mapping[str, Engine | AsyncEngine] | None = None,
    metrics: CollectorRegistry | None = None,
    limits: Mapping[str, object] | None = None,
    settings: ProbeSettings | None = None,
) -> Probe:
    """Watch an application: spans, pool waits and holds, loop stalls, what is in flight.

    Args:
        app: the application; call this before it serves. None in a program that serves no HTTP,
            such as a worker: call this in a task of its loop, if it has one.
        engine: its SQLAlchemy engine, sync or async (its pool is told as `main`), or several by
            the names their pools are to have.
        metrics: the application's own Prometheus metrics, served beside the probe's by a thread
            that answers while the loop is blocked; prometheus_client's default when omitted.
        limits: the application's own timeouts, for `why504 doctor`: seconds, None for no limit at
            all, or a client that has them, by the names of docs/doctor.md or names of your own.
        settings: read from the environment (`WHY504_*`) when omitted.

    Returns:
        The application's probe, the same one however often this is called.

    Raises:
        ConfigError: a `WHY504_*` setting or a limit makes no sense.
    """
    known: Probe | None = getattr(app, PROBE, None)
    if known is not None:
        return known
    engines = engine if isinstance(engine, Mapping) else {} if engine is None else {"main": engine}
    sync = {name: sync_engine(one) for name, one in engines.items()}
    settings = settings or ProbeSettings.from_env()
    probe = Probe(app, sync, settings, theirs=metrics, limits=limits or {})
    if app is None:
        probe.watch_here()
    else:
        setattr(app, PROBE, probe)
    return probe

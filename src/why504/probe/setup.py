"""`instrument(app, engine=...)` and `asgi(app)`: how an application gets its probe."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from why504.config import ProbeSettings
from why504.errors import ConfigError
from why504.probe.app.plainapp import PlainApp
from why504.probe.app.requests import App
from why504.probe.pools.limits import sync_engine
from why504.probe.probe import PROBE, Probe

if TYPE_CHECKING:
    from prometheus_client.registry import Collector
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from starlette.applications import Starlette

    Engines = Engine | AsyncEngine | Mapping[str, Engine | AsyncEngine]

__all__ = ["Probe", "asgi", "instrument"]

_LOG = logging.getLogger("why504.probe")


def instrument(
    app: Starlette | PlainApp | None = None,
    *,
    engine: Engines | None = None,
    metrics: Collector | None = None,
    limits: Mapping[str, object] | None = None,
    settings: ProbeSettings | None = None,
    on_stall: str | None = None,
) -> Probe:
    """Watch an application: spans, pool waits and holds, loop stalls, what is in flight.

    Args:
        app: the application, FastAPI or any Starlette; before or after its routes, middlewares
            and other instrumentation. None in a program that serves no HTTP, such as a worker:
            call this in a task of its loop, if it has one.
        engine: its SQLAlchemy engine, sync or async (its pool is told as `main`), or several by
            the names their pools are to have.
        metrics: the application's own Prometheus metrics, served beside the probe's by a thread
            that answers while the loop is blocked; prometheus_client's default when omitted.
        limits: the application's own timeouts, for `why504 doctor`: seconds, None for no limit at
            all, or a client that has them, by the names of docs/doctor.md or names of your own.
        settings: read from the environment (`WHY504_*`) when omitted. A process has one probe:
            those of the first application stay, and a warning says what another one's differ in.
        on_stall: `restart` ends a process that hangs for WHY504_RESTART_AFTER_S, so that its
            supervisor starts another; as the settings say when omitted.

    Returns:
        The application's probe, the same one however often this is called.

    Raises:
        ConfigError: a `WHY504_*` setting or a limit makes no sense, or `app` is an ASGI callable
            that only `asgi` can watch.
    """
    known: Probe | None = Probe.of_the_program if app is None else getattr(app, PROBE, None)
    if known is not None and all(one is not app for one in known.by_itself):
        return known
    if not (app is None or isinstance(app, PlainApp) or hasattr(app, "build_middleware_stack")):
        raise ConfigError(
            f"{type(app).__name__} has no place for a middleware: app = why504.asgi(app)"
        )
    engines = engine if isinstance(engine, Mapping) else {} if engine is None else {"main": engine}
    sync = {name: sync_engine(one) for name, one in engines.items()}
    probe = known or Probe.of_the_program
    if probe is None and Probe.living:
        # Libraries are a process's, not an application's: what two told would be told twice.
        probe = Probe.living[0]
        _say_what_stays(probe.settings, (settings or probe.settings).with_on_stall(on_stall))
    if probe is None:
        settings = (settings or ProbeSettings.from_env()).with_on_stall(on_stall)
        probe = Probe(settings, serves=app is not None)
    probe.add(None if known else app, sync, theirs=metrics, limits=limits or {})
    probe.by_itself = [one for one in probe.by_itself if one is not app]
    if app is None:
        Probe.of_the_program = probe
        probe.watch_here()
    return probe


def _say_what_stays(stay: ProbeSettings, wanted: ProbeSettings) -> None:
    each = [setting.name for setting in fields(stay)]
    differ = [name for name in each if getattr(stay, name) != getattr(wanted, name)]
    if differ:
        _LOG.warning(
            "why504: this process has a probe already, and its settings stay: what is asked for "
            "now differs in %s; give the first application what all need",
            ", ".join(differ),
        )


def asgi(app: Any, **how: Any) -> App:
    """Watch an ASGI application of any framework; serve what this returns.

    Args:
        app: any ASGI 3 callable. FastAPI and Starlette are returned as they are, watched.
        how: as `instrument` takes it.
    """
    has_room = hasattr(app, "build_middleware_stack") or isinstance(app, PlainApp)
    served = app if has_room else PlainApp(app)
    instrument(served, **how)
    return served

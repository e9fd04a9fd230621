"""What the probe hooks into: engines, limits, libraries, named locks, the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from why504.probe.apphooks import AppHooks
from why504.probe.core import Core
from why504.probe.engines import Engines
from why504.probe.libraries import Libraries
from why504.probe.limits import Limits
from why504.probe.namedwatch import NamedWatch
from why504.probe.requests import RequestWatch

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy.engine import Engine


class Watched:
    """Every hook of one probe, put in when it is made; `detach` takes all of them out."""

    def __init__(
        self,
        core: Core,
        app: FastAPI | None,
        engines: Mapping[str, Engine],
        *,
        limits: Mapping[str, object],
        on_scope: Callable[[MutableMapping[str, Any]], None],
    ) -> None:
        hold_after_s = core.settings.hold_after_s
        guard, calls, book, registry = core.guard, core.calls, core.book, core.registry
        self.limits = Limits(engines, limits, guard)
        self._engines = Engines(
            engines, book, registry=registry, metrics=core.metrics, hold_after_s=hold_after_s
        )
        self.pools = self._engines.pools
        self._engines.attach(guard, calls)
        self.limits.attach()
        self._libraries = Libraries(
            registry, book, guard=guard, calls=calls, hold_after_s=hold_after_s
        )
        self._named = NamedWatch(book, registry, guard, hold_after_s=hold_after_s)
        self._hooks = None if app is None else _hooked(app, core, on_scope)

    def look(self) -> None:
        """Hook what has been imported or named since the last look; cheap."""
        self._libraries.attach()
        self._named.attach()

    def tell(self) -> None:
        """Tell what named locks have to tell."""
        self._named.tell()

    def forked(self) -> None:
        """Forget what is held: it is held in the parent, not here."""
        self._named.forked()

    def detach(self) -> None:
        """Leave everything as it was."""
        self._engines.detach()
        self.limits.detach()
        self._libraries.detach()
        self._named.detach()
        if self._hooks is not None:
            self._hooks.detach()


def _hooked(
    app: FastAPI, core: Core, on_scope: Callable[[MutableMapping[str, Any]], None]
) -> AppHooks:
    watch = RequestWatch(
        core.registry,
        core.metrics,
        clock=core.clock,
        guard=core.guard,
        dropped=core.dropped,
        on_scope=on_scope,
    )
    hooks = AppHooks(app, watch)
    hooks.attach(core.spans.provider)
    return hooks

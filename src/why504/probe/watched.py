"""What the probe hooks into: engines, limits, libraries, named locks, applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from why504.probe.app.apphooks import AppHooks
from why504.probe.app.plainapp import PlainApp
from why504.probe.app.requests import RequestWatch
from why504.probe.app.serving import Serving
from why504.probe.core import Core
from why504.probe.kit import Kit, Pools
from why504.probe.libraries import Libraries
from why504.probe.locks.namedwatch import NamedWatch
from why504.probe.locks.unnamedwatch import UnnamedWatch
from why504.probe.pools.engines import Engines
from why504.probe.pools.limits import Limits
from why504.probe.pools.pool import is_watched

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from starlette.applications import Starlette


class Hook(Protocol):
    """Something that was put in and can be taken out."""

    def detach(self) -> None:
        """Leave it as it was."""


class Watched:
    """Every hook of one probe; `detach` takes all of them out."""

    def __init__(
        self,
        core: Core,
        on_scope: Callable[[MutableMapping[str, Any]], None],
        on_serving: Callable[[], None],
    ) -> None:
        self._core = core
        self._on_scope = on_scope
        self._on_serving = on_serving
        self._hooks: list[Hook] = []
        found = Limits({}, {}, core.guard)
        self._limits = [found]
        self.pools = Pools(())
        hold_after_s = core.settings.hold_after_s
        self._libraries = Libraries(
            Kit(
                core.registry,
                core.book,
                core.guard,
                core.calls,
                core.metrics,
                limits=found,
                pools=self.pools,
                hold_after_s=hold_after_s,
            )
        )
        self._named = NamedWatch(core.book, core.registry, core.guard, hold_after_s=hold_after_s)
        self._unnamed = UnnamedWatch(core.book, core.registry, core.watchdog.places, core.guard)

    def add(
        self,
        app: Starlette | PlainApp | None,
        engines: Mapping[str, Engine],
        limits: Mapping[str, object],
    ) -> None:
        """Watch an application, its engines and its limits as well."""
        core = self._core
        # Several applications may share one, or it was found already: it keeps the name it has.
        engines = {name: one for name, one in engines.items() if not is_watched(one.pool)}
        declared = Limits(engines, limits, core.guard)
        pools = Engines(
            engines,
            core.book,
            registry=core.registry,
            metrics=core.metrics,
            hold_after_s=core.settings.hold_after_s,
        )
        pools.attach(core.guard, core.calls)
        declared.attach()
        for pool in pools.pools:
            self.pools.add(pool)
        self._limits.append(declared)
        self._hooks.append(pools)
        # Before anything is served: who begins to wait at start-up is told as well.
        self._libraries.attach()
        if app is not None:
            core.spans.of(app)
            self._hooks.append(self._hooked(app))

    def limits(self) -> list[dict[str, Any]]:
        """Return what `/debug/limits` shows."""
        return [row for limits in self._limits for row in limits.told()]

    def look(self) -> None:
        """Hook what has been imported or named since the last look; cheap."""
        self._libraries.attach()
        self._named.attach()

    def tell(self) -> None:
        """Tell what locks, named or not, and executors have to tell."""
        self._named.tell()
        self._unnamed.look()
        self._libraries.tell()

    def forked(self) -> None:
        """Forget what is held: it is held in the parent, not here."""
        self._libraries.forked()
        self._named.forked()
        self._unnamed.forked()

    def detach(self) -> None:
        """Leave everything as it was."""
        for hook in (*self._hooks, *self._limits, self._libraries, self._named):
            hook.detach()

    def _hooked(self, app: Starlette | PlainApp) -> Hook:
        core = self._core
        watch = RequestWatch(
            core.registry,
            core.metrics,
            clock=core.clock,
            guard=core.guard,
            dropped=core.dropped,
            on_scope=self._on_scope,
        )
        if isinstance(app, PlainApp):
            app.attach(watch, core.spans, core.guard, self._on_serving)
            return app
        contrib = core.settings.server_spans == "contrib"
        hooks = AppHooks(app, watch, core.guard, contrib=contrib)
        _say_when_it_serves(app, self._on_serving)
        hooks.attach(core.spans.serving)
        core.spans.when_ours(hooks.silence_fastapi)
        return hooks


def _say_when_it_serves(app: Starlette, on_serving: Callable[[], None]) -> None:
    build = app.build_middleware_stack

    def built() -> Any:
        # Inside the outermost middleware: other instrumentors refuse a stack that they don't know.
        stack: Any = build()
        stack.app = Serving(stack.app, on_serving)
        return stack

    app.build_middleware_stack = built  # type: ignore[method-assign]

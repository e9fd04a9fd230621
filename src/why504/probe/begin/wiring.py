"""What is done at each of the places: the probe is made when a program shows what it is.

Nothing that is hooked here ever fails for us: whatever goes wrong is said once, and left out.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections import ChainMap
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from why504.probe.begin.imports import Hook, Imports
from why504.probe.begin.places import CALLS, LOADS, SERVES, WORKS, WRAPS, Place

_WATCHED: Final = "why504.watched"
"""Key of a scope: an application further out is watched."""
_SAID: Final = "WHY504_RUN_SAID"
"""Set once it was said why we are not there: workers need not repeat it."""
_PLACE_SAID: Final = "WHY504_RUN_PLACE_SAID"
"""Set once it was said that a library's function cannot be hooked: that alone leaves us there."""
_DEEPEST: Final = 20
Function = Callable[..., Any]
Around = Callable[[Function, Callable[[], Function]], Function]
"""Takes a function, and how to find what stands in its place by now."""


class Program:
    """What is known of the program so far."""

    def __init__(self) -> None:
        self._serves = False
        self._busy = False
        self._lock = threading.RLock()

    # --- what the places call ---------------------------------------------------------------------

    def serving(self, function: Function, _: Callable[[], Function]) -> Function:
        """Note that this process serves."""

        @functools.wraps(function)
        def serving(*args: Any, **kwargs: Any) -> Any:
            self._serves = True
            return function(*args, **kwargs)

        return serving

    def loading(self, attribute: str) -> Around:
        """Watch the application that a server's object has after loading it."""

        def around(function: Function, _: Callable[[], Function]) -> Function:
            @functools.wraps(function)
            def loading(server: Any, *args: Any, **kwargs: Any) -> Any:
                result = function(server, *args, **kwargs)
                setattr(server, attribute, self.watched(getattr(server, attribute)))
                return result

            return loading

        return around

    def wrapping(self, function: Function, _: Callable[[], Function]) -> Function:
        """Watch the application that a server is about to wrap."""

        @functools.wraps(function)
        def wrapping(app: Any, *args: Any, **kwargs: Any) -> Any:
            return function(self.watched(app), *args, **kwargs)

        return wrapping

    def called(self, function: Function, _: Callable[[], Function]) -> Function:
        """Watch an application that is called and that nothing further out has in view."""

        @functools.wraps(function)
        async def called(app: Any, scope: Any, receive: Any, send: Any) -> None:
            if _WATCHED not in scope:
                scope[_WATCHED] = True
                self.watched(app)
            await function(app, scope, receive, send)

        return called

    def working(self, function: Function, now: Callable[[], Function]) -> Function:
        """Watch a program without HTTP from the moment that it works, this call included."""

        def begins() -> Function:
            return now() if not self._serves and self._work() else function

        # Libraries and `mock` ask which kind a function is of.
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def working_async(*args: Any, **kwargs: Any) -> Any:
                return await begins()(*args, **kwargs)

            return working_async

        @functools.wraps(function)
        def working(*args: Any, **kwargs: Any) -> Any:
            return begins()(*args, **kwargs)

        return working

    def watched(self, app: Any) -> Any:
        """Return an application that is watched; the same one where that can be."""
        self._serves = True
        return _safely(lambda: _watch_app(app), app)

    def _work(self) -> bool:
        """Return whether the program is watched only since now."""
        with self._lock:
            if self._busy:
                return False
            self._busy = True
            try:
                return bool(_safely(_watch_program))
            finally:
                self._busy = False


def begin() -> None:
    """Hook what is imported from now on; a second call does nothing."""
    if any(isinstance(finder, Imports) for finder in sys.meta_path):
        return
    program = Program()
    hooks: dict[str, list[tuple[Place, Around]]] = {}
    for places, around in (
        (SERVES, program.serving),
        (WRAPS, program.wrapping),
        (CALLS, program.called),
        (WORKS, program.working),
    ):
        for place in places:
            hooks.setdefault(place.module, []).append((place, around))
    for place, attribute in LOADS:
        hooks.setdefault(place.module, []).append((place, program.loading(attribute)))
    Imports({module: _hook(rows) for module, rows in hooks.items()}).attach()


def _hook(rows: list[tuple[Place, Around]]) -> Hook:
    def hook(module: ModuleType) -> None:
        for place, around in rows:
            try:
                _replace(module, place, around)
            except Exception as error:
                what = f"{place.module}.{place.function} cannot be hooked"
                _say_once(_PLACE_SAID, what, error)

    return hook


def _replace(module: ModuleType, place: Place, around: Around) -> None:
    *path, name = place.function.split(".")
    owner: Any = functools.reduce(getattr, path, module)
    # As it is written, not bound; a class may have it from another one.
    written = ChainMap(*(vars(one) for one in getattr(owner, "__mro__", (owner,))))
    bound = isinstance(written[name], classmethod)

    def now() -> Function:
        found = written[name]
        return found.__func__ if isinstance(found, classmethod) else found

    replaced = around(now(), now)
    setattr(owner, name, classmethod(replaced) if bound else replaced)


def _watch_app(app: Any) -> Any:
    from why504.probe.probe import PROBE
    from why504.probe.setup import asgi

    inner = _inside(app, PROBE)
    if hasattr(inner, PROBE):
        return app
    watched = asgi(inner)
    getattr(watched, PROBE).by_itself.append(watched)
    return watched if inner is app else app


def _inside(app: Any, mark: str) -> Any:
    """Return the framework's application inside a server's middlewares, else the outermost."""
    inner, deep = app, 0
    while inner is not None and deep < _DEEPEST:
        if hasattr(inner, "build_middleware_stack") or hasattr(inner, mark):
            return inner
        inner, deep = getattr(inner, "__dict__", {}).get("app"), deep + 1
    return app


def _watch_program() -> bool:
    from opentelemetry import context

    if context.get_value("suppress_instrumentation"):
        return False
    from why504.probe.probe import Probe
    from why504.probe.setup import instrument

    for probe in list(Probe.living):
        probe.go_on()
    if Probe.living:
        return False
    instrument(None).by_itself.append(None)
    return True


def _safely(do: Callable[[], Any], otherwise: Any = None) -> Any:
    try:
        return do()
    except Exception as error:
        _say_once(_SAID, "the program runs without us", error)
        return otherwise


def _say_once(said: str, what: str, error: Exception) -> None:
    if os.environ.get(said) is None:
        os.environ[said] = "1"
        print(f"why504: {what}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

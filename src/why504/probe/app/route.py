"""The template of the route that serves a request: `/v1/users/{id}`, as far as it is known now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PREFIXES: Final = frozenset({"Mount", "Host"})
"""Routes of Starlette that are no more than where another application begins."""


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the template with whatever it is mounted or included under; empty before routing."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    # FastAPI's `include_router(prefix=...)` leaves the route itself without the prefix.
    included = scope.get("fastapi")
    if included and (found := included.get("effective_route_context")) is not None:
        path = getattr(found.starlette_route, "path", None) or found.path or path
    if not isinstance(path, str):
        return ""
    mounted = scope.get("app_root_path")
    if mounted is None:
        return path
    prefix = str(scope.get("root_path", ""))[len(mounted) :]
    return prefix if type(route).__name__ in _PREFIXES else prefix + path

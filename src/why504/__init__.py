"""why504: why a Python service answered 504, minutes after it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from why504.probe.locks.naming import resource
    from why504.probe.setup import asgi, instrument

__version__ = "0.1.0"
__all__ = ["__version__", "asgi", "instrument", "resource"]


def __getattr__(name: str) -> object:
    # The probe is imported on first use, so that `why504 explain` works without a web framework
    # and a lock is named without OpenTelemetry.
    if name in ("asgi", "instrument"):
        from why504.probe import setup

        return getattr(setup, name)
    if name == "resource":
        from why504.probe.locks.naming import resource

        return resource
    raise AttributeError(f"module 'why504' has no attribute {name!r}")

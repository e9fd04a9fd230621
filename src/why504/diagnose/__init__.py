"""Pure: evidence in, findings out. `explain` is the whole of it."""

from __future__ import annotations

from why504.diagnose.engine import explain

__all__ = ["explain"]

"""What to do where nothing is known of a hang: who hangs without a word is not seen from inside."""

from __future__ import annotations

from typing import Final

from why504.diagnose.chain import clock
from why504.diagnose.kept import SILENT_NS
from why504.model import Evidence

_NOW: Final = (
    "A process whose GIL is kept by C code can tell nothing. If one hangs, look at it from "
    "outside: why504 attach PID."
)
_NEXT_TIME: Final = (
    "For the next time set WHY504_BLACK_BOX=FOLDER for the service, and run why504 watch "
    "--black-box FOLDER beside it: the line is told even so."
)


def advice_on_silence(evidence: Evidence, requests: int, *, boxed: bool) -> list[str]:
    """Return what helps if a process hangs unseen; empty while requests and their ends are told.

    Args:
        evidence: in which nobody timed out.
        requests: how many it tells of.
        boxed: whether it comes from a black box.
    """
    heard_ns = max(evidence.heard_ns.values(), default=0)
    # Of a store that does not say when it heard of whom, nothing is known.
    silent = 0 < heard_ns < evidence.window.end_ns - SILENT_NS
    if requests and not silent:
        return []
    since = [f"Nothing was heard after {clock(heard_ns)} UTC."] if silent else []
    return [*since, _NOW, *([] if boxed else [_NEXT_TIME])]

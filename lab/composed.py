"""The demo in Docker Compose: `python -m lab.composed --gateway http://gateway:8080`.

Load through the gateway, as clients make it, and beside it a broker that takes connections and
never says a word. One of the instances behind the gateway is the service of fault F1 (lab/app.py):
it publishes to that broker inside the request. Once conversations end, its event loop stands still,
and every third request ends in a 504 of the gateway, as after a release that was bad.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.faults import fault
from lab.load import Load, Plan, Rates, shots, summary
from lab.stack.broker import MuteBroker
from why504.errors import LabError

FAULT: Final = "F1"
BROKER_PORT: Final = 5672
TELL_EVERY_S: Final = 15.0
ROUNDING_S: Final = 30.0
"""Longer than the gateway waits: so long a client does, so that it sees the 504."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    gateway: str
    gateway_timeout_s: float
    calm_s: float
    """Ordinary load, before anything is wrong."""
    hang_s: float
    look: Sequence[str]
    """Where people look at what happened."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0, 1 = no request ended in a 504, 2 = the load could not be made."""
    options = _options(arguments)
    row = fault(FAULT)
    try:
        with MuteBroker("0.0.0.0", BROKER_PORT):
            _tell(f"ordinary load for {options.calm_s:g} s")
            _send(options, row.before, options.calm_s)
            _tell(row.description)
            _tell(f"the first 504 comes after {options.gateway_timeout_s:g} s; look there:")
            for place in options.look:
                _tell(f"  {place}")
            hung = _send(options, row.during, options.hang_s)
    except LabError as error:
        _tell(str(error))
        return 2
    _tell(f"the load is over: {hung} requests ended in a 504. Why? It is all still there:")
    for place in options.look:
        _tell(f"  {place}")
    return 0 if hung else 1


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True, help="http://host:port")
    parser.add_argument("--gateway-timeout-s", type=float, default=60.0)
    parser.add_argument("--calm-s", type=float, default=30.0)
    parser.add_argument("--hang-s", type=float, default=240.0)
    parser.add_argument("--look", action="append", default=[], help="an address to be printed")
    given = parser.parse_args(arguments)
    return Options(
        given.gateway, given.gateway_timeout_s, given.calm_s, given.hang_s, given.look
    )  # fmt: skip


def _send(options: Options, rates: Rates, duration_s: float) -> int:
    """Send a load, telling how it goes; returns how many requests ended in a 504."""
    # Other requests each time: a conversation that is known is not published again.
    planned = shots(Plan(rates, duration_s), seed=time.time_ns())
    patience_s = options.gateway_timeout_s + ROUNDING_S
    with Load(options.gateway, planned, timeout_s=patience_s) as load:
        while load.running:
            load.wait(TELL_EVERY_S)
            seen = summary(load.replies)
            answers = ", ".join(f"{count} x {status}" for status, count in seen.statuses.items())
            _tell(f"{seen.requests} of {len(planned)} answered: {answers or 'none yet'}")
    return summary(load.replies).statuses.get(504, 0)


def _tell(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())

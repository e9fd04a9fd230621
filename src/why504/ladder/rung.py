"""One rung of the ladder, and how it travels as JSON (`GET /debug/limits`, `--limits FILE`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from why504.errors import ConfigError
from why504.ladder.kinds import BY_ID

MOST_ROWS: Final = 1_000
_MOST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Rung:
    """One limit in seconds; None = there is no limit at all."""

    kind: str
    """A key of `kinds.BY_ID`; a newer probe may tell others, which are shown and not judged."""
    seconds: float | None
    """How long one attempt may take."""
    name: str = ""
    """Which of its kind: a pool, a location of the gateway, a call."""
    where: str = ""
    """Who told it."""
    attempts: int = 1
    pause_s: float = 0.0
    """Pauses between all attempts together."""
    connections: int | None = None
    """A pool's size and overflow."""

    @property
    def worst_s(self) -> float:
        """Seconds that all attempts together may take; infinite without a limit."""
        return math.inf if self.seconds is None else self.seconds * self.attempts + self.pause_s

    def as_row(self) -> dict[str, Any]:
        """Return it as JSON has it; the keys are the fields."""
        return asdict(self)

    @classmethod
    def of(cls, row: object, where: str) -> Self:
        """Return the rung of a JSON row; keys of newer versions are ignored.

        Raises:
            ConfigError: it is no rung; says which value makes no sense.
        """
        if not isinstance(row, Mapping) or not isinstance(row.get("kind"), str):
            raise ConfigError(f'{where}: {_short(row)} is no limit, such as {{"kind": "llm", ...}}')
        if "seconds" not in row:
            raise ConfigError(f"{where}: limit {_short(row['kind'])} has no seconds")
        kind = row["kind"][:_MOST_NAME]
        connections = row.get("connections")
        return cls(
            kind,
            seconds_of(row["seconds"], f"{where}: limit {_short(kind)}"),
            name=str(row.get("name") or "")[:_MOST_NAME],
            where=str(row.get("where") or where)[:_MOST_NAME],
            attempts=max(1, _count(row.get("attempts", 1), f"{where}: attempts of {_short(kind)}")),
            pause_s=seconds_of(row.get("pause_s", 0), f"{where}: pauses of {_short(kind)}") or 0.0,
            connections=None
            if connections is None
            else _count(connections, f"{where}: connections of {_short(kind)}"),
        )


def declared(name: str, value: object, where: str) -> Rung:
    """Return the rung of a name and its seconds; a name that is no kind is a call of that name.

    Raises:
        ConfigError: the value is no length of time.
    """
    seconds = seconds_of(value, f"{where}: limit {_short(name)}")
    if name in BY_ID:
        return Rung(name, seconds, where=where)
    return Rung("call", seconds, name=name[:_MOST_NAME], where=where)


def rungs_of(document: object, where: str) -> list[Rung]:
    """Return the rungs of a JSON document.

    It is a list of rows, or names and their seconds as in `{"llm": 15, "statement": null}`, or
    what `why504 doctor --json` printed, of which the rungs are read.

    Raises:
        ConfigError: it is neither, or a value in it makes no sense.
    """
    if isinstance(document, Mapping) and isinstance(document.get("rungs"), list):
        document = document["rungs"]
    if isinstance(document, Mapping):
        entries = list(document.items())
        rungs = [declared(str(name), value, where) for name, value in entries[:MOST_ROWS]]
    elif isinstance(document, list):
        entries = document
        rungs = [Rung.of(row, where) for row in entries[:MOST_ROWS]]
    else:
        raise ConfigError(f"{where}: {_short(document)} is no list of limits")
    if len(entries) > MOST_ROWS:
        raise ConfigError(f"{where}: {len(entries)} limits; {MOST_ROWS} are read at most")
    return rungs


def seconds_of(value: object, what: str) -> float | None:
    """Return seconds, at least 0; None for None and for infinity.

    Raises:
        ConfigError: it is no number, NaN or negative.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{what}: {_short(value)} is no number of seconds")
    if value < 0:
        raise ConfigError(f"{what}: {_short(value)} is negative; no limit at all is null (None)")
    try:
        seconds = float(value)
    except OverflowError:
        return None
    if math.isnan(seconds):
        raise ConfigError(f"{what}: NaN is no number of seconds")
    return None if math.isinf(seconds) else seconds


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
        raise ConfigError(f"{what}: {_short(value)} is no count")
    return value


def _short(value: object) -> str:
    try:
        text = ascii(value)
    except (ValueError, RecursionError):
        # A number of thousands of digits, or a nest of thousands of brackets.
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:80] + "…"

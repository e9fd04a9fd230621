"""Compares a configuration with the keys that its program documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from collector_keys import FREE


def unknown(told: Any, known: Any, at: str = "") -> Iterator[str]:
    """Yield what is wrong with a part of a configuration, as `path: why`."""
    if known == FREE or told is None:
        return
    if isinstance(known, list):
        if not isinstance(told, list):
            yield f"{at}: has to be a list"
            return
        for number, one in enumerate(told):
            yield from unknown(one, known[0], f"{at}[{number}]")
    elif isinstance(known, Mapping):
        if not isinstance(told, Mapping):
            yield f"{at}: has to be a mapping"
            return
        for key, value in told.items():
            if key not in known:
                yield f"{at}.{key}: no such key; there are {', '.join(known)}"
            else:
                yield from unknown(value, known[key], f"{at}.{key}")
    elif isinstance(told, Mapping) or (isinstance(told, list) and any(map(_mapping, told))):
        yield f"{at}: has no keys of its own"


def _mapping(value: Any) -> bool:
    return isinstance(value, Mapping)

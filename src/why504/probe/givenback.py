"""Context variables that are set for a while, given back wherever that ends.

A coroutine or generator that nobody finished is closed by garbage collection, or by a loop that is
torn down, in another context than the one that it began in: there is nothing to give back there.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TypeVar

T = TypeVar("T")


def give_back(variable: ContextVar[T], token: Token[T]) -> None:
    """Have the value that it had before in this context; in another one, nothing is done."""
    try:
        variable.reset(token)
    except ValueError:
        return  # made in another context

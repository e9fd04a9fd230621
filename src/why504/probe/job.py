"""Which code a thread is wanted for, read from the callable that it is given."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType
from typing import Any, Final

from why504.probe.site import CodeLine, is_user_file

_DEEPEST: Final = 8


def first_line(work: Any, arguments: Iterable[Any] = ()) -> CodeLine | None:
    """Return the first line of work; of a framework's runner that of the user's function."""
    codes = [code for code in map(_code_of, _parts(work, arguments)) if code]
    users = (code for code in codes if is_user_file(code.co_filename))
    code = next(users, codes[0] if codes else None)
    return None if code is None else line_of_code(code)


def line_of_code(code: CodeType) -> CodeLine:
    """Return the first line of code."""
    return CodeLine(code.co_filename, code.co_firstlineno, code.co_qualname)


def _parts(work: Any, arguments: Iterable[Any]) -> list[Any]:
    """Return work and what it is given: a framework's runner is given the user's function."""
    bound = (getattr(work, "keywords", None) or {}).values()
    return [work, *arguments, *getattr(work, "args", ()), *bound]


def _code_of(work: Any) -> CodeType | None:
    """Return the code of a callable, through partials, methods and decorators, or an iterator's."""
    for _ in range(_DEEPEST):
        # What @contextmanager makes has the library's methods: the generator is the user's.
        generator = getattr(getattr(work, "__self__", None), "gen", None)
        inner = generator or getattr(work, "func", None) or getattr(work, "__func__", None)
        inner = inner or getattr(work, "__wrapped__", None)
        if inner is None:
            break
        work = inner
    runs = "__call__" if callable(work) else "__next__"
    code = getattr(work, "__code__", None) or getattr(work, "gi_code", None)
    code = code or getattr(getattr(type(work), runs, None), "__code__", None)
    return code if isinstance(code, CodeType) else None

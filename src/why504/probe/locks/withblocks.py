"""Which `with` blocks a frame is in, or about to enter, and on what: read from its bytecode.

A lock does not say who has it. A frame does: it stands inside `with lock:`, and what `lock` is
there can be looked up. Where an instruction is inside is what its exception table says: whoever
leaves a block by an exception comes by the block's own handler. Nothing of the user's is run.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, Final, NamedTuple

_LOADS: Final = {
    "LOAD_GLOBAL": "global",
    "LOAD_NAME": "name",
    "LOAD_FAST": "local",
    "LOAD_FAST_CHECK": "local",
    "LOAD_FAST_BORROW": "local",
    "LOAD_DEREF": "local",
}
_PAIRS: Final = frozenset({"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"})
_ENTERS: Final = frozenset({"BEFORE_WITH", "BEFORE_ASYNC_WITH"})
_SPECIAL: Final = frozenset({"__exit__", "__aexit__"})
"""Looked up by `LOAD_SPECIAL`, from Python 3.14 on, of what is entered."""
_PASSED_OVER: Final = frozenset({"PRECALL", "CACHE", "NOP", "EXTENDED_ARG", "PUSH_NULL"})
_AWAITS: Final = frozenset(
    {"GET_AWAITABLE", "LOAD_CONST", "LOAD_COMMON_CONSTANT", "PUSH_NULL"}
    | {"SEND", "YIELD_VALUE", "RESUME", "JUMP_BACKWARD_NO_INTERRUPT"}
)
"""What follows a call that is awaited; a coroutine is suspended at one of them."""
_HANDLERS: Final = 40
_MISSING: Final = object()


class Expression(NamedTuple):
    """What a name, an attribute or an item stands for: `self._locks[name]`."""

    kind: str
    """global, name, local, const, attribute or item."""
    text: Any
    """Name, or the constant."""
    of: Expression | None = None
    key: Expression | None = None

    def __str__(self) -> str:
        if self.kind == "attribute":
            return f"{self.of}.{self.text}"
        return f"{self.of}[...]" if self.kind == "item" else str(self.text)


class Block(NamedTuple):
    """One `with` statement."""

    enter: int
    """Offset of the instruction that enters it."""
    begins: int
    """Offset of the first instruction inside."""
    expression: Expression
    line: int


class Blocks(NamedTuple):
    """All of one code object."""

    blocks: tuple[Block, ...]
    by_handler: dict[int, Block]
    table: tuple[tuple[int, int, int], ...]
    """Start, end (excluded) and handler of each protected range, in offsets."""
    acquires: dict[int, Expression]
    """Offset of a call of `.acquire(...)` -> of what."""


def wanted(frame: FrameType) -> tuple[Expression, Any] | None:
    """Return what a frame is about to enter or acquire just now: the expression and its value."""
    read = _read(frame.f_code)
    at = frame.f_lasti
    for block in read.blocks:
        if block.enter <= at < block.begins:
            return _found(block.expression, frame)
    expression = read.acquires.get(at)
    return None if expression is None else _found(expression, frame)


def inside(frame: FrameType) -> Iterator[tuple[Block, Any]]:
    """Yield the `with` blocks that a frame is in, innermost first, and what each is on."""
    read = _read(frame.f_code)
    at = frame.f_lasti
    for _ in range(_HANDLERS):
        handler = next((t for start, end, t in read.table if start <= at < end), None)
        if handler is None:
            return
        block = read.by_handler.get(handler)
        if block is not None:
            found = _found(block.expression, frame)
            if found is not None:
                yield block, found[1]
        at = handler


def _found(expression: Expression, frame: FrameType) -> tuple[Expression, Any] | None:
    value = _value(expression, frame)
    return None if value is _MISSING else (expression, value)


def _value(expression: Expression, frame: FrameType) -> Any:
    """Return what an expression stands for in a frame, without running anything of the user's."""
    if expression.kind == "const":
        return expression.text
    if expression.of is None:
        for names in _namespaces(expression.kind, frame):
            if expression.text in names:
                return names[expression.text]
        return _MISSING
    owner = _value(expression.of, frame)
    if owner is _MISSING:
        return _MISSING
    if expression.kind == "attribute":
        return _attribute(owner, expression.text)
    return _item(owner, expression.key, frame)


def _namespaces(kind: str, frame: FrameType) -> tuple[Any, ...]:
    if kind == "local":
        return (frame.f_locals,)
    return (frame.f_locals, frame.f_globals) if kind == "name" else (frame.f_globals,)


def _attribute(owner: Any, name: str) -> Any:
    own = getattr(type(owner), "__dictoffset__", 0) and getattr(owner, "__dict__", None)
    if isinstance(own, dict) and name in own:
        return own[name]
    classes = (*getattr(owner, "__mro__", ()), *type(owner).__mro__)
    found = next((vars(one)[name] for one in classes if name in vars(one)), _MISSING)
    if isinstance(found, MemberDescriptorType):
        try:
            return found.__get__(owner)
        except AttributeError:
            return _MISSING
    # Whatever has a `__get__` would be the user's code.
    return _MISSING if hasattr(type(found), "__get__") else found


def _item(owner: Any, key: Expression | None, frame: FrameType) -> Any:
    index: Any = _MISSING if key is None else _value(key, frame)
    if not isinstance(owner, dict | list | tuple) or type(index) not in (str, int, bytes, bool):
        return _MISSING
    try:
        # Not `owner[index]`: a subclass has methods of its own, and a default makes an entry.
        return dict.get(owner, index, _MISSING) if isinstance(owner, dict) else owner[index]
    except (IndexError, TypeError):
        return _MISSING


@lru_cache(maxsize=2048)
def _read(code: CodeType) -> Blocks:
    bytecode = dis.Bytecode(code)
    entries = getattr(bytecode, "exception_entries", ())
    table = tuple((e.start, e.end, e.target) for e in entries)
    enters, acquires, handlers = _scan(bytecode)
    blocks, by_handler = [], {}
    for handler in sorted({target for _, _, target in table} & handlers):
        begins = min(start for start, _, target in table if target == handler)
        before = [each for each in enters if each[0] < begins]
        if before and before[-1][1] is not None:
            enter, expression, line = before[-1]
            block = Block(enter, begins, expression, line)
            blocks.append(block)
            by_handler[handler] = block
    return Blocks(tuple(blocks), by_handler, table, acquires)


Enter = tuple[int, Any, int]


def _scan(bytecode: dis.Bytecode) -> tuple[list[Enter], dict[int, Expression], set[int]]:
    """Return what enters a block, what calls `.acquire`, and the offsets of handlers of blocks."""
    enters: list[Enter] = []
    acquires: dict[int, Expression] = {}
    handlers: set[int] = set()
    stack: list[Expression | None] = []
    pushed = -1
    method: Expression | None = None
    awaited: Expression | None = None
    for step in bytecode:
        name = step.opname
        if step.is_jump_target:
            stack.clear()  # one may come from elsewhere, with something else on it
        if name == "PUSH_EXC_INFO":
            pushed = step.offset
        elif name == "WITH_EXCEPT_START" and pushed >= 0:
            handlers.add(pushed)
        if name in _ENTERS or (name == "LOAD_SPECIAL" and step.argrepr.strip() in _SPECIAL):
            enters.append((step.offset, stack[-1] if stack else None, _line_of(step)))
        called = method if name.startswith("CALL") else None
        awaited = called or (awaited if name in _AWAITS else None)
        if awaited is not None:
            acquires[step.offset] = awaited
        if name not in _PASSED_OVER:
            method = _method(step, stack, method)
            _apply(step, stack)
    return enters, acquires, handlers


def _line_of(step: dis.Instruction) -> int:
    return (step.positions.lineno if step.positions else None) or 0


def _method(
    step: dis.Instruction, stack: list[Expression | None], before: Expression | None
) -> Expression | None:
    """Return whose `.acquire` was loaded last; forgotten at the call, or at whatever is unknown."""
    if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval == "acquire":
        return stack[-1] if stack else None
    known = step.opname in _LOADS or step.opname in ("LOAD_CONST", "KW_NAMES", "LOAD_SMALL_INT")
    return before if known else None


def _apply(step: dis.Instruction, stack: list[Expression | None]) -> None:
    """Do to a stack of expressions what an instruction does; what is not known empties it."""
    name = step.opname
    if name in _LOADS:
        stack.append(Expression(_LOADS[name], step.argval))
    elif name in _PAIRS:
        stack.extend(Expression("local", each) for each in step.argval)
    elif name in ("LOAD_CONST", "LOAD_SMALL_INT"):
        stack.append(Expression("const", step.argval))
    elif name in ("LOAD_ATTR", "LOAD_METHOD") and stack and stack[-1] is not None:
        stack.append(Expression("attribute", step.argval, stack.pop()))
    elif (name == "BINARY_SUBSCR" or step.argrepr == "[]") and len(stack) > 1:
        key, of = stack.pop(), stack.pop()
        stack.append(Expression("item", "", of, key) if of and key else None)
    elif name == "COPY" and step.arg == 1 and stack:
        stack.append(stack[-1])
    else:
        stack.clear()

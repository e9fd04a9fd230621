"""Bytecodes that instrumentation adds to a request, function by function: `bench.probe bytecodes`.

Counted, not timed, so that no machine and no luck is in it. It says where to look; what is paid is
what `cost` says, for a function in C counts as one bytecode, and another thread as none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.probe.child import Answer, Child
from bench.probe.cost import WORKLOADS
from bench.probe.processes import Stage
from bench.probe.variants import NOTHING, OURS, STOCK, VARIANTS
from lab.prove.verdict import WIDTH

WARM: Final = 30
"""Requests: what the interpreter learns of its code, and what is kept for later ones, is there."""
COUNTED: Final = 32
"""Requests; spans are encoded sixteen at a time."""
SHOWN: Final = 30
_SITE: Final = "site-packages/"


class Function(NamedTuple):
    """What one function did in a request."""

    name: str
    bytecodes: float
    calls: float


class Counting:
    """Counts what the thread that switches it on executes."""

    def __init__(self) -> None:
        self.bytecodes: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: object) -> Counting:
        """Note an event of `sys.settrace`."""
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self.calls[frame.f_code] += 1
        elif event == "opcode":
            self.bytecodes[frame.f_code] += 1
        return self


async def inside(child: Child, path: str) -> Answer:
    """Return what each function did, in the process of a variant."""
    counting = Counting()
    for _ in range(WARM):
        await child.serve(path)
    sys.settrace(counting)
    for _ in range(COUNTED):
        await child.serve(path)
    sys.settrace(None)
    return {
        "functions": [
            (_called(code), bytecodes / COUNTED, counting.calls[code] / COUNTED)
            for code, bytecodes in counting.bytecodes.items()
        ]
    }


def _called(code: CodeType) -> str:
    return f"{code.co_filename.rpartition(_SITE)[2]}:{code.co_firstlineno} {code.co_qualname}"


def show(arguments: Sequence[str]) -> int:
    """Print what stock OpenTelemetry and the probe add, and where the probe does."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe bytecodes", description=__doc__)
    parser.add_argument("--functions", type=int, default=SHOWN, help="shown, %(default)s")
    options = parser.parse_args(arguments)
    console = Console(width=WIDTH)
    with Stage.set() as stage:
        served = {variant: stage.serve(variant).wait_ready() for variant in (NOTHING, STOCK, OURS)}
        for workload in WORKLOADS:
            counted = {
                variant: _functions(one.ask("part", module="bytecodes", path=workload.path))
                for variant, one in served.items()
            }
            _tell(console, workload.name, counted, options.functions)
    return 0


def _functions(answer: Mapping[str, Any]) -> Mapping[str, Function]:
    return {name: Function(name, *counts) for name, *counts in answer["functions"]}


def _tell(
    console: Console, workload: str, counted: Mapping[str, Mapping[str, Function]], most: int
) -> None:
    table = Table(workload, "bytecodes", "calls", "of stock's", header_style="bold")
    base = _whole(counted[NOTHING])
    stock = _whole(counted[STOCK]).bytecodes - base.bytecodes
    for variant, functions in counted.items():
        whole = _whole(functions)
        more = whole.bytecodes - base.bytecodes
        title = VARIANTS[variant].title
        table.add_row(
            title, f"{more:+,.0f}", f"{whole.calls - base.calls:+.0f}", f"{more / stock:.2f}"
        )
    table.add_section()
    nothing = counted[NOTHING]
    added = [
        Function(name, one.bytecodes - known.bytecodes, one.calls - known.calls)
        for name, one in counted[OURS].items()
        for known in (nothing.get(name, Function(name, 0, 0)),)
    ]
    for one in sorted(added, key=lambda one: -one.bytecodes)[:most]:
        table.add_row(one.name, f"{one.bytecodes:+.0f}", f"{one.calls:+.1f}")
    console.print(table)


def _whole(functions: Mapping[str, Function]) -> Function:
    bytecodes = sum(one.bytecodes for one in functions.values())
    return Function("", bytecodes, sum(one.calls for one in functions.values()))

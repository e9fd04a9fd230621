"""A dump read from outside: which process stood still since when, and who kept its GIL."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import format_span_id
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.loop.gildump import SIZE_LIMIT, holder, parsed
from why504.probe.site import CodeLine
from why504.probe.telling.records import RecordSpan

_HEAD_LIMIT: Final = 2**16


@dataclass(frozen=True, slots=True)
class Dumped:
    """One dump that was taken."""

    path: Path
    process: Mapping[str, Any]
    """`pid`, `service`, `instance`."""
    since_ns: int
    taken_ns: int
    lines: tuple[CodeLine, ...]
    """Of whoever kept the GIL, innermost first; files as its process called them."""

    @property
    def pid(self) -> int:
        """The process, 0 if its file does not tell."""
        told = self.process.get("pid")
        return told if isinstance(told, int) else 0

    @property
    def where(self) -> CodeLine | None:
        """The user's line."""
        return site.user_line(self.lines) or next(iter(self.lines), None)

    def resource(self) -> Resource:
        """Return who speaks: the process itself, though it could not."""
        told = {
            names.SERVICE_NAME: self.process.get("service"),
            names.SERVICE_INSTANCE: self.process.get("instance"),
        }
        return Resource({key: str(value) for key, value in told.items() if value})

    def record(self, until_ns: int, sequence: int) -> RecordSpan:
        """Return the stall; `sequence` 0 says that it is over, 1 and on that it goes on.

        The same dump gives the same ids, whoever reads it.
        """
        seed = f"{self.path.name} {self.taken_ns}"
        span_id = _id(f"stall {seed}", 8)
        attributes: dict[str, AttributeValue] = {
            names.KIND: names.STALL,
            names.RESOURCE: names.loop(self.pid),
            names.KEEP: True,
            names.OUTCOME: names.OPEN if sequence else "ended",
            names.STALL_SAMPLES: 1,
            names.STALL_GIL_KEPT: True,
            **site.attributes_of(self.told(self.where) if self.where else None),
            names.CODE_STACKTRACE: site.stack_text([self.told(line) for line in self.lines]),
        }
        if sequence:
            attributes[names.SNAPSHOT_OF] = format_span_id(span_id)
            attributes[names.SNAPSHOT_SEQUENCE] = sequence
        return RecordSpan(
            name=f"{names.STALL} {names.loop(self.pid)}",
            trace_id=_id(f"trace {seed}", 16),
            span_id=_id(f"telling {sequence} {seed}", 8) if sequence else span_id,
            parent_id=None,
            start_ns=self.since_ns,
            end_ns=until_ns,
            attributes=attributes,
        )

    def told(self, line: CodeLine) -> CodeLine:
        """Return a line with its file as the process itself would have told it."""
        folder = self.process.get("cwd")
        if not isinstance(folder, str):
            return line
        return line._replace(file=_relative(line.file, folder))


def dumped(path: Path) -> Dumped | None:
    """Return what a dump tells; None when none was taken, or nobody can be named."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        head = json.loads(file.readline(_HEAD_LIMIT))
        text = file.read(SIZE_LIMIT).decode("utf-8", "replace")
        taken_ns = os.fstat(file.fileno()).st_mtime_ns
        if not isinstance(head, dict) or not text:
            return None
        threads = [one for one in head.get("loop_threads", ()) if isinstance(one, int)]
        stacks = parsed(text)
        lines = stacks.get(holder(stacks, threads) or 0)
        after_s = head.get("after_s")
        if not lines or not isinstance(after_s, int | float):
            return None
        return Dumped(path, head, taken_ns - int(after_s * 1e9), taken_ns, tuple(lines))
    return None


def _relative(file: str, folder: str) -> str:
    if not file.startswith(folder.rstrip("/") + "/") or "site-packages" in file:
        return file
    return file[len(folder.rstrip("/")) + 1 :]


def _id(seed: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:size], "big") or 1

"""What a process tells and remembers of one before it that could not: its GIL was kept to the end.

Its dump tells why it was ended; whoever of its successors is first to take it tells it.
"""

from __future__ import annotations

from pathlib import Path

from why504 import names
from why504.probe.blackbox import folder as places
from why504.probe.blackbox.dumped import Dumped, dumped
from why504.probe.healing.restarts import Restart, Restarts
from why504.probe.inflight import Place
from why504.probe.telling.openrecord import RecordBook


def tell_of_the_dead(folder: Path, service: str, restarts: Restarts, book: RecordBook) -> None:
    """Remember and tell each restart of this service of which only a dump is left.

    Raises:
        OSError: the folder can't be read or written.
    """
    if not folder.is_dir():
        return
    for path in places.exits(folder):
        found = dumped(path) if places.is_gone(path) else None
        if found is None or str(found.process.get("service", "")) != service:
            continue
        try:
            # One of several successors; as a dump it stays for people.
            path.rename(places.counted(path))
        except FileNotFoundError:
            continue
        why = _why(found)
        started_ns = int(path.name.split("-")[0])
        restarts.add(Restart(found.taken_ns, started_ns, why))
        _tell(found, why, book)


def _why(found: Dumped) -> str:
    line = found.where
    seconds = found.process.get("after_s")
    place = f", at {found.told(line).file}:{line.line}" if line else ""
    return f"the GIL was kept for {seconds:.0f} s of CPU time{place}"


def _tell(found: Dumped, why: str, book: RecordBook) -> None:
    record = book.mint(names.RESTART, names.process(found.pid), Place(None, 0))
    record.start_ns = found.taken_ns
    record.attributes = {names.RESTART_WHY: why}
    book.sender.send(record.final(names.RESTARTED, record.opened_s))

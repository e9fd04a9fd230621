"""From a decoded request to a durable segment: acknowledge after the write-ahead file is on disk.

Two threads. The committer writes what has come in meanwhile to the write-ahead file and syncs once
for all of it. The flusher turns each file into the segment of the same name, then deletes it: a
crash in between replays the file into that same segment, so nothing is lost and nothing doubled.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from why504.errors import NotOtlp, StoreUnavailable
from why504.receive.decode import Batch, Decoder
from why504.receive.segments import Retention, Segments
from why504.receive.wal import Wal, bodies

log = logging.getLogger(__name__)

BACKLOG_BYTES: Final = 256 * 2**20
"""Of spans in memory and not in a segment; more are refused until the disk keeps up."""


@dataclass(frozen=True, slots=True)
class _Request:
    body: bytes
    batch: Batch
    durable: Future[None] = field(default_factory=Future)


@dataclass(slots=True)
class _Journal:
    """A write-ahead file and, in memory, what it holds; not the bodies, which are on disk."""

    wal: Wal
    batches: list[Batch] = field(default_factory=list)


class Spool:
    """Takes requests until closed. Opening it replays what an earlier process left behind.

    Args:
        folder: gets `lock`, `wal/` and `segments/`.
        flush_every_s: how long a span may be durable and not yet readable.

    Raises:
        StoreUnavailable: another process writes to this folder, or the disk refuses.
    """

    def __init__(
        self, folder: Path, *, retention: Retention | None = None, flush_every_s: float = 1.0
    ) -> None:
        self.failure = ""
        """Why the disk refused the last write, for people; empty when it took it."""
        self._retention = retention or Retention()
        self._flush_every_s = flush_every_s
        self._wal_folder = folder / "wal"
        try:
            self._wal_folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = _locked(folder / "lock")
            self._segments = Segments(folder / "segments")
            self._replay()
        except OSError as error:
            raise StoreUnavailable(f"can't write to {folder}: {error}") from error
        self._arrived = threading.Condition()
        self._waiting: list[_Request] = []
        self._closing = False
        self._backlog_bytes = 0
        self._writing = threading.Lock()
        self._journal: _Journal | None = None
        self._sealed: list[_Journal] = []
        self._stop_flushing = threading.Event()
        # Daemons: whoever leaves without close() loses nothing, it is replayed next time.
        self._committer = threading.Thread(
            target=self._commit_all, name="why504-commit", daemon=True
        )
        self._flusher = threading.Thread(target=self._flush_all, name="why504-flush", daemon=True)
        self._committer.start()
        self._flusher.start()

    def add(self, body: bytes, batch: Batch) -> Future[None]:
        """Take one request; the future ends when it is durable, or with StoreUnavailable.

        Args:
            body: the request in protobuf, as it will be replayed after a crash.
            batch: the same, decoded.

        Raises:
            StoreUnavailable: closed, or too much waits for the disk.
        """
        request = _Request(body, batch)
        with self._arrived:
            if self._closing:
                raise StoreUnavailable("the receiver is stopping")
            if self._backlog_bytes > BACKLOG_BYTES:
                raise StoreUnavailable(f"more than {BACKLOG_BYTES} bytes wait for the disk")
            self._backlog_bytes += len(batch.data)
            self._waiting.append(request)
            self._arrived.notify()
        return request.durable

    def close(self) -> None:
        """Flush, stop both threads and let another process have the folder; again does nothing."""
        with self._arrived:
            self._closing = True
            self._arrived.notify()
        self._committer.join()
        self._stop_flushing.set()
        self._flusher.join()
        self._lock_file.close()

    def _commit_all(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._waiting or self._closing)
                requests, self._waiting = self._waiting, []
            if not requests:
                return
            self._commit(requests)

    def _commit(self, requests: Sequence[_Request]) -> None:
        try:
            with self._writing:
                if self._journal is None:
                    self._journal = _Journal(self._new_wal())
                self._journal.wal.append([request.body for request in requests])
                self._journal.batches += [request.batch for request in requests]
        except OSError as error:
            self.failure = f"can't write evidence: {error}"
            log.warning("%s", self.failure)
            self._forget([request.batch for request in requests])
            for request in requests:
                request.durable.set_exception(StoreUnavailable(self.failure))
            self._seal_broken()
            return
        self.failure = ""
        for request in requests:
            request.durable.set_result(None)

    def _seal_broken(self) -> None:
        with self._writing:
            if self._journal is not None and self._journal.wal.broken:
                self._sealed.append(self._journal)
                self._journal = None

    def _flush_all(self) -> None:
        while not self._stop_flushing.wait(self._flush_every_s):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._writing:
            if self._journal is not None:
                self._sealed.append(self._journal)
                self._journal = None
            sealed = list(self._sealed)
        try:
            for journal in sealed:
                if journal.batches:
                    self._segments.write(journal.wal.path.stem, journal.batches)
                journal.wal.path.unlink(missing_ok=True)
                journal.wal.close()
                with self._writing:
                    self._sealed.remove(journal)
                self._forget(journal.batches)
            while self._segments.compact(_new_name()):
                pass
            self._segments.retain(self._retention, time.time_ns())
        except Exception as error:
            # What is sealed stays on disk and in memory and is tried again at the next turn; were
            # this thread to die of a surprise, evidence would be acknowledged and never readable.
            self.failure = f"can't write a segment: {error}"
            log.warning("%s", self.failure, exc_info=not isinstance(error, OSError))

    def _forget(self, batches: Sequence[Batch]) -> None:
        with self._arrived:
            self._backlog_bytes -= sum(len(batch.data) for batch in batches)

    def _new_wal(self) -> Wal:
        return Wal(self._wal_folder / f"{_new_name()}.wal")

    def _replay(self) -> None:
        for path in sorted(self._wal_folder.glob("*.wal")):
            decoder = Decoder()
            batches = []
            for body in bodies(path):
                try:
                    batches.append(decoder.decode(body))
                except NotOtlp as error:
                    log.warning("%s holds a request that can't be read: %s", path.name, error)
            if batches:
                self._segments.write(path.stem, batches)
            path.unlink()


def _new_name() -> str:
    """Return a name that sorts by age and is new: one process at a time makes them."""
    return f"{time.time_ns():020d}"


def _locked(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            file.seek(0)
            owner = file.read(20)
        raise StoreUnavailable(
            f"{path.parent} is in use by another receiver (process {owner}): "
            "stop it or choose another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file

"""One live view for all who look: not too often, never two at once, and again after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboards import live
from dashboards.live import Watch
from tests.unit.dashboards import now_examples as moments
from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from why504.errors import StoreUnavailable
from why504.receive.decode import Decoder
from why504.receive.segments import Segments


class Following:
    def __init__(self, look: Callable[[int], Any]) -> None:
        self._look = look
        self.looks = 0

    def look(self, _now_ns: int) -> Any:
        self.looks += 1
        return self._look(self.looks)


def test_who_looks_again_at_once_sees_the_same():
    following = Following(lambda n: moments.moment(kept=n))
    watch = Watch(lambda: following, every_s=60)  # type: ignore[arg-type,return-value]

    assert [watch.look().now.kept for _ in range(3)] == [1, 1, 1]  # type: ignore[union-attr]


def test_a_store_that_fails_is_tried_again_and_the_last_view_kept():
    def look(n: int) -> Any:
        if n == 2:
            raise StoreUnavailable("gone")
        return moments.moment(kept=n)

    following = Following(look)
    watch = Watch(lambda: following, every_s=0)  # type: ignore[arg-type,return-value]

    seen = [watch.look() for _ in range(3)]

    assert [(one.now.kept, one.problem) for one in seen if one.now] == [
        (1, ""), (1, "gone"), (3, ""),
    ]  # fmt: skip


def test_a_view_that_broke_is_begun_anew():
    def broken(n: int) -> Any:
        raise RuntimeError("half read")

    made = [Following(broken), Following(lambda n: moments.moment(kept=7))]
    watch = Watch(lambda: made.pop(0), every_s=0)  # type: ignore[arg-type,return-value]

    with pytest.raises(RuntimeError):
        watch.look()

    seen = watch.look().now
    assert seen is not None
    assert seen.kept == 7


def test_nobody_waits_for_another_ones_look_once_there_is_something_to_show():
    looking, go_on = threading.Event(), threading.Event()

    def look(n: int) -> Any:
        if n == 2:
            looking.set()
            assert go_on.wait(10)
        return moments.moment(kept=n)

    following = Following(look)
    watch = Watch(lambda: following, every_s=0)  # type: ignore[arg-type,return-value]
    watch.look()
    slow = threading.Thread(target=watch.look)
    slow.start()
    assert looking.wait(10)

    seen = watch.look().now

    assert seen is not None
    assert seen.kept == 1
    go_on.set()
    slow.join(10)
    assert following.looks == 2


def test_a_real_store_is_followed_as_it_grows(tmp_path: Path):
    segments = Segments(tmp_path / "segments")
    now_s = (time.time_ns() - T0_NS) / SECOND_NS
    watch = Watch(lambda: _follow(tmp_path), every_s=0)

    def kept() -> int:
        seen = watch.look().now
        assert seen is not None
        return seen.kept

    assert kept() == 0
    for number in (1, 2):
        told = span(trace_id=bytes([number]) * 16, start_s=now_s - 1, end_s=now_s)
        segments.write(str(number), [Decoder().decode(protobuf(told))])
        assert kept() == number


def _follow(folder: Path) -> Any:
    from why504.stores.following import Following as Real
    from why504.stores.parquet import ParquetStore

    return Real(ParquetStore(folder))


def test_an_empty_folder_and_none_tell_nothing_of_when_they_were_heard(tmp_path: Path):
    assert live.last_heard_ns(tmp_path) is None
    assert live.last_heard_ns(tmp_path / "gone") is None

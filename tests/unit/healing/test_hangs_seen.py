"""When a process counts as hung, and that its listeners are taken from it alone."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest

from why504 import names
from why504.probe.healing.deadman import Deadman
from why504.probe.healing.hang import FEWEST_REQUESTS, Hangs, is_debugged
from why504.probe.healing.healer import EXIT_CODE, Healer
from why504.probe.healing.listeners import close_listeners
from why504.probe.healing.restarts import Permit, Restarts
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.lean.served import SERVED
from why504.probe.site import CodeLine
from why504.testing import FakeClock

AFTER_S = 60.0


class Watched:
    """A process with open requests and a loop that stalls when told."""

    def __init__(self, tmp_path) -> None:
        self.clock = FakeClock()
        self.registry = Registry(self.clock, 100)
        self.ended = 0
        self.loops: dict[int, object] = {}
        self.stalled_s = 0.0
        self.hangs = Hangs(
            self, self.registry, clock=self.clock, ended=lambda: self.ended, after_s=AFTER_S
        )
        self.left: list[int] = []
        self.told: list[str] = []
        self.folder = tmp_path
        self.healer = self.begun()

    def begun(self) -> Healer:
        """A process that begins now."""
        permit = Permit(
            Restarts(self.folder, "shop", 2 * AFTER_S), self.clock, self.clock.wall_ns()
        )
        deadman = Deadman(self.folder / "dump", {}, AFTER_S)
        deadman._is_refused = True  # not in the process of the tests
        return Healer(
            self.hangs, permit, self._tell,
            deadman=deadman, clock=self.clock, leave=self.left.append,
        )  # fmt: skip

    def _tell(self, hang) -> None:
        self.told.append(hang.why)

    def age_s(self, watch) -> float:
        return self.stalled_s

    def places(self) -> list:
        return []

    def stall(self, seconds: float) -> None:
        self.stalled_s = seconds
        told = {names.CODE_FILE: "shop.py", names.CODE_LINE: 7}
        record = SimpleNamespace(attributes=told, trace_id=5, span_id=6)
        self.loops = {1: SimpleNamespace(thread_id=0, stall=SimpleNamespace(record=record))}

    def ask(self, count: int, **scope) -> None:
        for _ in range(count):
            entry = OpenSpan(1, len(self.registry.spans) + 1)
            entry.scope = {"type": "http", **scope}
            entry.place = Place(None, 0)
            self.registry.open(entry)

    def pass_s(self, seconds: float, each_s: float = 0.5):
        seen = None
        for _ in range(int(seconds / each_s)):
            self.clock.advance(each_s)
            seen = self.hangs.look() or seen
        return seen


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def test_a_loop_hangs_once_it_has_stalled_long_enough(watched):
    watched.stall(AFTER_S - 1)
    assert watched.hangs.look() is None
    watched.stall(AFTER_S + 1)

    assert watched.hangs.look().why == "the event loop has not turned for 61 s, at shop.py:7"


def test_requests_hang_once_none_has_ended_for_long_enough(watched):
    watched.ask(FEWEST_REQUESTS)

    assert watched.pass_s(AFTER_S) is None
    assert "3 hang, the oldest for" in watched.pass_s(AFTER_S + 2).why


def test_one_that_ends_now_and_then_shows_that_it_works(watched):
    watched.ask(FEWEST_REQUESTS)
    for _ in range(10):
        assert watched.pass_s(AFTER_S / 2) is None
        watched.ended += 1


STREAMS = {SERVED: SimpleNamespace(status=200)}


@pytest.mark.parametrize("case", [("few", 2, {}), ("streams", 9, STREAMS)])
def test_a_few_slow_ones_and_streams_are_no_hang(watched, case):
    _, count, scope = case
    watched.ask(count, **scope)

    assert watched.pass_s(5 * AFTER_S) is None


def test_time_for_which_the_process_was_stopped_does_not_count(watched):
    watched.ask(FEWEST_REQUESTS)
    watched.pass_s(AFTER_S - 5)
    watched.clock.advance(10 * AFTER_S)

    assert watched.pass_s(10) is None


def test_who_is_looked_at_with_a_debugger_is_left_alone():
    assert is_debugged([CodeLine("/usr/lib/python3.11/bdb.py", 1, "wait")])
    assert not is_debugged([CodeLine("/srv/shop.py", 1, "pay")])


def test_a_hang_is_told_and_the_process_left_once_and_again_only_after_the_back_off(watched):
    watched.stall(AFTER_S + 1)
    watched.clock.advance(1)
    watched.healer.look()
    assert watched.left == [EXIT_CODE]
    assert len(watched.told) == 1

    watched.clock.advance(0.001)
    again = watched.begun()
    for _ in range(int(2 * AFTER_S)):
        again.look()
        assert watched.left == [EXIT_CODE]
        watched.clock.advance(1)
    watched.clock.advance(1)
    again.look()
    assert watched.left == [EXIT_CODE] * 2


def test_restarts_that_can_not_be_remembered_are_not_done(watched, tmp_path):
    (tmp_path / "file").write_text("")
    watched.folder = tmp_path / "file"
    watched.healer = watched.begun()
    watched.stall(AFTER_S + 1)
    watched.clock.advance(1)

    with pytest.raises(OSError):
        watched.healer.look()
    assert watched.left == []


def test_listeners_are_taken_from_this_process_only():
    """In a child, which shares a listener with its parent."""
    shared = socket.create_server(("127.0.0.1", 0))
    own_page = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        taken = close_listeners(keep_port=own_page.getsockname()[1])
        closed = False
        try:
            shared.accept()
        except OSError:
            closed = True
        still = own_page.getsockname()[1] > 0
        os._exit(0 if taken >= 1 and closed and still else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with socket.create_connection(shared.getsockname(), timeout=5), shared.accept()[0]:
        pass
    shared.close()
    own_page.close()

"""Garbage is not collected while frames of other threads are made into objects."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref

import pytest

from why504.probe.still import STILL, Still

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 needs no care")


class Knot:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def collects() -> bool:
    """Return whether garbage is collected while many objects are made."""
    known = weakref.ref(Knot())
    kept = [[] for _ in range(3 * max(1, THRESHOLDS[0]))]
    return known() is None and bool(kept)


THRESHOLDS = gc.get_threshold()


def test_nothing_is_collected_inside_and_all_is_as_before_outside():
    assert collects()
    with STILL:
        assert not collects()
        assert gc.isenabled()
    assert collects()
    assert gc.get_threshold() == THRESHOLDS


@pytest.mark.parametrize("say", [gc.disable, lambda: gc.set_threshold(50_000, 7, 7)])
def test_what_the_application_says_meanwhile_holds(say):
    try:
        with STILL:
            say()
            said = gc.isenabled(), gc.get_threshold()
        assert gc.isenabled() == said[0]
        assert gc.get_threshold() == (THRESHOLDS if gc.disable is say else said[1])
    finally:
        gc.enable()
        gc.set_threshold(*THRESHOLDS)


def test_who_reads_the_thresholds_inside_and_puts_them_back_later_stops_no_collection():
    with STILL:
        read = gc.get_threshold()
    gc.set_threshold(*read)
    with STILL:
        assert not collects()

    assert gc.get_threshold() == THRESHOLDS


def test_the_last_thread_to_leave_has_collections_go_on():
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with STILL:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    with STILL:
        pass
    assert not collects()
    leave.set()
    thread.join(10)
    assert collects()


def test_a_child_forked_meanwhile_collects_and_can_enter_again():
    still = Still()
    with still:
        child = os.fork()
        if child == 0:
            before = collects()
            with still:
                inside = collects()
            os._exit(0 if before and not inside and collects() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

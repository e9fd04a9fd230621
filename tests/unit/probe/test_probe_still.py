"""Garbage is not collected while frames of other threads are made into objects."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

from why504.probe.still import STILL, Still

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 needs no care")


def test_collection_is_off_inside_and_as_before_outside():
    with STILL:
        assert not gc.isenabled()
    assert gc.isenabled()

    gc.disable()
    try:
        with STILL:
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_thread_to_leave_turns_it_on_again():
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
    assert not gc.isenabled()
    leave.set()
    thread.join(10)
    assert gc.isenabled()


def test_a_child_forked_meanwhile_collects_and_can_enter_again():
    still = Still()
    with still:
        child = os.fork()
        if child == 0:
            enabled = gc.isenabled()
            with still:
                inside = gc.isenabled()
            os._exit(0 if enabled and not inside and gc.isenabled() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

import signal
import sys
import time

import pytest

from lab.prove.supervisor import Kept, Supervisor
from lab.stack.process import Program
from why504.errors import LabError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def kept(folder, argv=SLEEP, ready=lambda: True):
    return Kept(Program(argv, "sleeper", folder), kind="sleeper", metrics_port=0, ready=ready)


def until(done, timeout_s=5.0):
    deadline_s = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return done()


def test_a_killed_program_is_started_again_after_half_a_second(tmp_path):
    sleeper = kept(tmp_path)
    with Supervisor([sleeper]):
        killed_s = time.monotonic()
        pid = sleeper.kill()

        assert until(lambda: len(sleeper.pids) == 2)
        assert 0.4 < time.monotonic() - killed_s < 3
        assert sleeper.pids[0] == pid != sleeper.pids[1]
        assert sleeper.alive
        assert sleeper.exits == [128 + signal.SIGKILL]


def test_programs_end_with_their_supervisor(tmp_path):
    sleeper = kept(tmp_path)
    with Supervisor([sleeper]):
        pass

    time.sleep(0.7)
    assert not sleeper.alive
    assert len(sleeper.pids) == 1


def test_a_program_that_ends_as_it_starts_is_told_with_its_last_words(tmp_path):
    sleeper = kept(tmp_path, [sys.executable, "-c", "raise SystemExit('no database')"], bool)

    with pytest.raises(LabError, match=r"(?s)sleeper did not start.*no database"):
        Supervisor([sleeper]).__enter__()

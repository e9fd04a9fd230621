import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.prove import broker_kills, persistent
from lab.prove.kills import Killer, Kills
from lab.prove.persistent import Order
from lab.prove.supervisor import Kept, Supervisor
from lab.stack.process import Program
from service.infrastructure.api.schemas import ConversationIn


class _Flaky(BaseHTTPRequestHandler):
    """Keeps every body that came whole; half of the clients never hear of it."""

    protocol_version = "HTTP/1.1"
    rng = random.Random(5)

    def do_POST(self):
        length = int(self.headers["content-length"])
        self.server.bodies[self.rfile.read(length)] += 1
        fate = self.rng.random()
        if fate < 0.25:
            self.close_connection = True
            return
        self.send_response(502 if fate < 0.5 else 201)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients that leave at the end are no news."""


@pytest.fixture
def flaky(monkeypatch):
    monkeypatch.setattr(persistent, "LONGEST_PAUSE_S", 0.11)
    server = _Quiet(("127.0.0.1", 0), _Flaky)
    server.bodies = Counter()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_clients_repeat_the_same_body_until_it_is_taken(flaky, tmp_path):
    order = Order(f"http://127.0.0.1:{flaky.server_port}", 7, 40, 3, 400.0)
    with (tmp_path / persistent.SENT).open("w") as told:
        await persistent.send_all(order, told)

    sent = broker_kills.read_sent(tmp_path)

    assert sorted(each.number for each in sent) == list(range(7, 47))
    assert all(each.answers["201"] == 1 for each in sent)
    tries = sum((Counter(each.answers) for each in sent), Counter())
    assert tries["502"] > 3
    assert tries["0"] > 3
    assert len(flaky.bodies) == 40, "a repeated request has the same body"
    # Of those that were cut off on a busy machine, some never reached it.
    assert 40 + tries["502"] <= flaky.bodies.total() <= tries.total()


def test_a_few_users_have_all_the_conversations():
    bodies = [persistent.body(number, 3) for number in range(30)]

    assert set(Counter(each["user_id"] for each in bodies).values()) == {10}
    assert len({each["conversation_id"] for each in bodies}) == 30


def test_the_service_takes_every_conversation_of_the_kills():
    for number in range(broker_kills.FIRST, broker_kills.FIRST + broker_kills.FULL.conversations):
        if number % 500 == 0:
            assert ConversationIn.model_validate(persistent.body(number, broker_kills.USERS))


def test_only_what_is_up_is_killed_and_counted(tmp_path):
    argv = ["sleep", "60"]
    up, starting = (
        Kept(Program(argv, name, tmp_path), kind=name, metrics_port=0, ready=lambda: True)
        for name in ("up", "starting")
    )
    with Supervisor([up, starting]):
        starting.ready = lambda: False
        with Killer([up, starting], None, Kills(3, 0.1, 1_000, 1)) as killer:
            deadline_s = time.monotonic() + 20
            while killer.of_the_service < 3 and time.monotonic() < deadline_s:
                time.sleep(0.05)

    assert killer.kills["up"] >= 3
    assert killer.kills["starting"] == 0
    assert len(up.pids) >= 3
    assert len(starting.pids) == 1

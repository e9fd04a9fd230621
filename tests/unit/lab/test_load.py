import threading
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.load import ROUTES, STORED, Load, Plan, Reply, conversation, shots, summary
from service.infrastructure.api.schemas import ConversationIn, SuggestIn
from why504.errors import LabError

EVERY_ROUTE = dict.fromkeys(ROUTES, 20.0)


def test_a_seed_gives_the_same_requests_at_the_same_moments():
    plan = Plan(EVERY_ROUTE, 5, abort_share=0.2)

    assert shots(plan, 1) == shots(plan, 1)
    assert shots(plan, 1) != shots(plan, 2)


def test_requests_come_in_order_within_the_duration_and_at_the_planned_rate():
    planned = shots(Plan({"suggest": 50.0}, 20), 3)

    times_s = [shot.at_s for shot in planned]
    assert times_s == sorted(times_s)
    assert times_s[0] >= 0
    assert times_s[-1] < 20
    assert 850 < len(planned) < 1150


def test_the_load_of_a_route_does_not_depend_on_the_others():
    alone = shots(Plan({"end": 5.0}, 5), 4)
    among_others = [s for s in shots(Plan({"end": 5.0, "suggest": 9.0}, 5), 4) if s.route == "end"]

    assert alone == among_others


def test_the_service_takes_every_body_that_is_sent():
    for shot in shots(Plan(EVERY_ROUTE, 5), 5):
        if shot.path.endswith("/end"):
            assert ConversationIn.model_validate(shot.body).entity().log
        elif shot.path.endswith("/suggest"):
            assert SuggestIn.model_validate(shot.body)
        else:
            assert shot.body is None


def test_new_conversations_are_new_and_repeated_ones_were_stored_before():
    planned = shots(Plan({"end": 50.0, "end again": 50.0}, 10), 6)

    stored = {conversation(number)["conversation_id"] for number in range(STORED)}
    new = [s.body["conversation_id"] for s in planned if s.route == "end" and s.body]
    again = [s.body["conversation_id"] for s in planned if s.route == "end again" and s.body]
    assert stored.isdisjoint(new)
    assert stored.issuperset(again)
    assert Counter(new).most_common(1)[0][1] <= 2


def test_about_the_planned_share_of_clients_hangs_up_early():
    planned = shots(Plan({"livez": 100.0}, 20, abort_share=0.25), 7)

    share = sum(shot.abort_after_s is not None for shot in planned) / len(planned)
    assert 0.2 < share < 0.3


@pytest.mark.parametrize("plan", [Plan({"end": 1000.0}, 100), Plan({"end": 1.0}, 3600)])
def test_a_load_that_would_swamp_the_machine_is_refused(plan):
    with pytest.raises(LabError, match="too large"):
        shots(plan, 1)


class _Slow(BaseHTTPRequestHandler):
    """Answers `/v1/livez` after a second, all else at once with 504."""

    def do_GET(self):
        slow = self.path == "/v1/livez"
        if slow:
            threading.Event().wait(1)
        self.send_response(200 if slow else 504)
        self.send_header("x-trace-id", "ab" * 16)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def slow_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_slow_answers_do_not_hold_back_what_is_sent_next(slow_server):
    plan = Plan({"livez": 40.0}, 0.5)
    with Load(slow_server, shots(plan, 8), timeout_s=5) as load:
        load.wait(10)

    assert len(load.replies) == len(shots(plan, 8))
    sent_s = [reply.sent_s for reply in load.replies]
    assert max(sent_s) - min(sent_s) < 0.9
    assert {reply.status for reply in load.replies} == {200}


def test_a_reply_tells_status_and_trace_and_an_abort_is_no_status(slow_server):
    plan = Plan({"livez": 20.0, "health": 20.0}, 0.5, abort_share=1.0)
    with Load(slow_server, shots(plan, 9), timeout_s=5) as load:
        load.wait(10)

    assert {r.status for r in load.replies if r.route == "livez"} == {0}
    assert {r.trace_id for r in load.replies if r.route == "health" and r.status} <= {"ab" * 16}


def test_stopping_a_load_cuts_what_is_open(slow_server):
    load = Load(slow_server, shots(Plan({"livez": 5.0}, 60), 10), timeout_s=5)
    load.wait(0.3)
    load.stop()

    assert not load.running


def test_a_load_that_finishes_waits_for_what_is_open_and_sends_no_more(slow_server):
    load = Load(slow_server, shots(Plan({"livez": 10.0}, 60), 12), timeout_s=5)
    load.wait(0.6)
    load.finish()
    load.wait(5)

    assert not load.running
    assert 1 <= len(load.replies) < 30
    assert {reply.status for reply in load.replies} == {200}
    assert [reply.number for reply in load.replies] == list(range(len(load.replies)))


def test_a_generator_that_falls_behind_counts_its_delay_as_latency(slow_server):
    all_at_once = [replace(shot, at_s=-0.5) for shot in shots(Plan({"health": 20.0}, 0.3), 13)]

    with Load(slow_server, all_at_once, timeout_s=5) as load:
        load.wait(5)

    assert min(reply.latency_s for reply in load.replies) >= 0.5
    assert min(reply.late_s for reply in load.replies) >= 0.5


def test_a_load_against_nobody_is_told_as_broken_connections(free_port):
    with Load(
        f"http://127.0.0.1:{free_port}", shots(Plan({"livez": 20.0}, 0.3), 11), timeout_s=1
    ) as load:
        load.wait(5)

    assert {reply.status for reply in load.replies} == {0}


def test_a_summary_has_nearest_rank_percentiles_and_the_first_504():
    replies = [Reply("end", 100.0 + n, 0.01 * n, 200, "") for n in range(1, 101)]
    replies += [Reply("end", 103.0, 4.0, 504, ""), Reply("end", 101.0, 5.0, 504, "")]

    told = summary(replies)

    assert told.requests == 102
    assert told.statuses == {200: 100, 504: 2}
    assert told.p50_s == pytest.approx(0.51)
    assert told.p99_s == pytest.approx(4.0)
    assert told.first_504_s == pytest.approx(106.0)


def test_a_summary_of_nothing_is_empty():
    assert summary([]).requests == 0
    assert summary([]).first_504_s is None

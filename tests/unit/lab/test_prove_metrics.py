import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.prove.metrics import Reading, Watch, read, total
from lab.prove.traffic import Phase

PAGE = """# TYPE pool_used gauge
pool_used{pool="main",state="used"} 7.0
pool_used{pool="main",state="idle"} 8.0
# TYPE other gauge
other{state="used"} 99.0
"""


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metrics)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_what_is_asked_for_is_read(port):
    page = read(port, ["pool_used"])

    assert total(page, "pool_used", state="used") == 7
    assert total(page, "pool_used") == 15
    assert total(page, "other") == 0


def watched(*readings):
    watch = Watch([], [], every_s=1)
    watch.readings = [
        Reading(process, at_s, {("calls_total", frozenset()): value})
        for process, at_s, value in readings
    ]
    return watch


def test_a_counter_that_fell_belongs_to_a_new_process():
    watch = watched(("a", 1, 5), ("b", 1, 2), ("a", 2, 7), ("a", 3, 1), ("b", 3, 2), ("a", 4, 4))

    assert watch.increase("calls_total") == 7 + 4 + 2


def test_the_highest_figure_is_that_of_the_phase_and_the_process():
    watch = watched(("a", 1, 5), ("b", 2, 9), ("a", 11, 20))
    figure = lambda page: total(page, "calls_total")  # noqa: E731

    assert watch.most([Phase("", 0, 10)], figure) == 9
    assert watch.most([Phase("", 0, 10)], figure, of="a") == 5
    assert watch.most([Phase("", 0, 10), Phase("", 10, 20)], figure) == 20
    assert not watch.most([Phase("", 50, 60)], figure) <= 0, "nothing was read, so nothing passes"

"""`why504 doctor`, as it is typed: what it prints, and how it exits."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from why504.cli import app

NGINX = "events {} http { server { location / { %s proxy_pass http://127.0.0.1:1; } } }"
GOOD = {"application": 55, "llm": 15, "pool": 5, "statement": 10, "lock": 5}


@pytest.fixture
def doctor(tmp_path):
    def run(*arguments, limits=None, nginx=None, columns=100):
        options = list(arguments)
        if limits is not None:
            text = limits if isinstance(limits, str | bytes) else json.dumps(limits)
            (tmp_path / "l.json").write_bytes(text if isinstance(text, bytes) else text.encode())
            options += ["--limits", str(tmp_path / "l.json")]
        if nginx is not None:
            (tmp_path / "nginx.conf").write_text(NGINX % nginx)
            options += ["--nginx", str(tmp_path / "nginx.conf")]
        env = {"COLUMNS": str(columns), "NO_COLOR": "1"}
        return CliRunner(env=env).invoke(app, ["doctor", *options])

    return run


@pytest.fixture
def told():
    """Serve one answer on any path, as a probe of some version would."""
    servers = []

    def serve(status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_ladder_in_order_exits_with_0(doctor):
    result = doctor(limits=GOOD, nginx="")

    assert result.exit_code == 0
    assert "The ladder is in order." in result.output
    assert "✗" not in result.output


def test_an_inversion_exits_with_1_and_marks_its_row_without_colour(doctor):
    result = doctor(limits={**GOOD, "llm": 90}, nginx="")

    assert result.exit_code == 1
    marked = [line for line in result.output.splitlines() if line.startswith("✗ ")]
    assert ["LLM call" in line or "inversion" in line for line in marked] == [True, True]
    assert "\x1b" not in result.output


def test_a_bar_is_to_scale_and_an_endless_one_has_an_arrow(doctor):
    lines = doctor(limits={**GOOD, "llm": None}, nginx="").output.splitlines()
    bars = {line[3:16].strip(): line.count("━") for line in lines if "━" in line}

    # keepalive_timeout's 75 s are the longest.
    assert bars["gateway keeps"] == 16
    assert bars["gateway locat"] == 13
    assert bars["SQL statement"] == 2
    assert any("LLM call" in line and "▶" in line and "no limit" in line for line in lines)


def test_json_holds_the_rungs_that_limits_reads_again(doctor):
    first = doctor("--json", limits={**GOOD, "llm": None}, nginx="")
    document = json.loads(first.output)
    again = doctor("--json", limits=document["rungs"])

    assert first.exit_code == again.exit_code == 1
    assert not document["fine"]
    assert [finding["severity"] for finding in document["findings"]] == ["missing"]
    assert json.loads(again.output) == document


def test_without_a_gateway_it_says_what_it_could_not_check(doctor):
    result = doctor(limits=GOOD)

    assert result.exit_code == 0
    assert "Not checked" in result.output
    assert "the gateway's timeouts" in result.output
    assert "What was told is in order." in result.output


def test_what_a_process_tells_is_print_and_nothing_more(doctor):
    hostile = [{"kind": "llm", "seconds": 1, "name": "[red]\x1b[2J\u202e", "where": "[/x]"}]
    result = doctor(limits=hostile, columns=200)

    assert "LLM call [red][2J" in result.output
    assert "[/x]" in result.output
    assert "\x1b" not in result.output


def test_nothing_to_read_is_answered_by_what_to_type(doctor):
    result = doctor()

    assert result.exit_code == 2
    assert "--nginx /etc/nginx/nginx.conf" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ("{", "holds no JSON"),
        (b"\xff\xfe{}", "holds no JSON"),
        ("[" * 100_000, "holds no JSON"),
        ('"text"', "is no list of limits"),
        ('{"llm": NaN}', "NaN"),
        ('{"llm": -Infinity}', "is negative"),
        (" " * 2_000_001, "more than 2,000,000 bytes"),
    ],
)
def test_a_file_that_makes_no_sense_exits_with_2(doctor, limits, says):
    result = doctor(limits=limits)

    assert result.exit_code == 2
    assert says in " ".join(result.output.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, b"try /metrics or /debug/requests\n", "is older than this"),
        (500, b"why504 failed to answer\n", "no probe answers"),
        (200, b"<html>", "holds no JSON"),
        (200, b'{"requests": []}', "limit 'requests'"),
        (200, b"[" + b" " * 2_000_000 + b"]", "more than 2,000,000 bytes"),
    ],
)
def test_whoever_answers_without_limits_is_named(doctor, told, status, body, says):
    url = told(status, body)
    result = doctor("--url", url)

    assert result.exit_code == 2
    assert says in " ".join(result.output.split())
    assert url in result.output.replace("\n", "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "no address", "http://[", "ftp://127.0.0.1"])
def test_an_address_where_nobody_answers_is_named(doctor, url):
    result = doctor("--url", url)

    assert result.exit_code == 2
    assert "no probe answers at" in result.output


def test_two_processes_of_one_service_are_one_ladder(doctor, told):
    row = {"kind": "pool", "name": "main", "seconds": 5, "connections": 15}
    first, second = (told(200, json.dumps([row]).encode()) for _ in range(2))
    result = doctor("--json", "--url", first, "--url", second, "--url", first)

    (rung,) = json.loads(result.output)["rungs"]
    assert rung["connections"] == 30


def test_a_postgresql_address_that_is_none_does_not_repeat_its_password(doctor):
    result = doctor("--postgres", "postgresql://me:secret@[")

    assert result.exit_code == 2
    assert "secret" not in result.output

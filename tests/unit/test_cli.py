import json

import pytest
from typer.testing import CliRunner

from why504 import __version__
from why504.cli import app


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def test_version(run):
    assert run("version").output.strip() == __version__


def test_an_absent_store_says_how_to_get_one(run, tmp_path):
    result = run("explain", "--store", tmp_path / "none")

    assert result.exit_code == 2
    assert "why504 receive --store" in result.output
    assert "Traceback" not in result.output


def test_an_empty_store_is_no_all_clear(run, tmp_path):
    assert "this is no all-clear" in run("explain", "--store", tmp_path).output
    assert json.loads(run("explain", "--store", tmp_path, "--json").output) == []


def test_where_nothing_was_heard_it_says_how_to_look_from_outside_and_what_to_set(run, tmp_path):
    text = " ".join(run("explain", "--store", tmp_path).output.split())

    assert "why504 attach PID" in text
    assert "WHY504_BLACK_BOX" in text


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--last", "soon", "is no length of time"),
        ("--from", "yesterday", "is no ISO time"),
        ("--trace", "xyz", "is no trace id"),
        ("--trace", "a" * 32, "is not in the store"),
    ],
)
def test_bad_input_is_answered_by_what_would_be_good(run, tmp_path, option, value, says):
    result = run("explain", "--store", tmp_path, option, value)

    assert result.exit_code == 2
    assert says in result.output


def test_ps_without_a_probe_says_where_it_looked(run):
    result = run("ps", "--url", "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "no probe answers at http://127.0.0.1:9" in result.output


def hang(folder) -> None:
    """One request that waits for a connection, another that has it; told a moment ago."""
    import time

    from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
    from why504.receive.decode import Decoder
    from why504.receive.segments import Segments

    now_s = (time.time_ns() - T0_NS) / SECOND_NS
    spans = []
    for number, record in enumerate(["snapshot", "hold", "snapshot", "wait"]):
        trace = bytes([number // 2 + 1]) * 16
        is_snapshot = record == "snapshot"
        told = {
            "why504.kind": record, "why504.snapshot.sequence": 1,
            "why504.snapshot.of": (trace[:8] if is_snapshot else bytes([number + 50]) * 8).hex(),
            "why504.snapshot.kind": "server", "http.request.method": "GET",
            "http.route": "/[bold]evil\x1b[2J",
        }  # fmt: skip
        if not is_snapshot:
            told["why504.resource"] = "db.pool:main"
        parent = b"" if is_snapshot else trace[:8]
        spans.append(
            span(trace_id=trace, span_id=bytes([90 + number]) * 8, parent_id=parent, kind=1,
                 name="snapshot GET", start_s=now_s - 12, end_s=now_s, attributes=told)
        )  # fmt: skip
    Segments(folder / "segments").write("0001", [Decoder().decode(protobuf(*spans))])


def test_now_says_what_is_open_and_who_has_what_it_waits_for(run, tmp_path):
    hang(tmp_path)

    text = run("now", "--store", tmp_path).output
    told = json.loads(run("now", "--store", tmp_path, "--json").output)

    assert "2 open, 0 x 504" in text
    assert "waits for" in text
    assert "[bold]" in text
    assert "\x1b" not in text
    first, second = told["open"]
    assert (first["frees"], second["waits_for"]) == (1, "db.pool:main")
    assert second["held_by"]["trace_id"] == first["trace_id"]
    assert told["resources"][0]["waiters"] == 1
    assert (told["victims"], told["explained"], len(told["incidents"])) == (2, 2, 1)


def stand_still(folder) -> None:
    """An event loop that is blocked, and nobody who is seen to wait for it."""
    import time

    from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
    from why504.receive.decode import Decoder
    from why504.receive.segments import Segments

    now_s = (time.time_ns() - T0_NS) / SECOND_NS
    told = {
        "why504.kind": "stall", "why504.resource": "loop:42", "why504.snapshot.sequence": 1,
        "why504.snapshot.of": "ab" * 8, "why504.outcome": "open", "code.file.path": "shop.py",
        "code.line.number": 9, "code.function.name": "scan",
    }  # fmt: skip
    stall = span(trace_id=b"1" * 16, span_id=b"2" * 8, parent_id=b"", kind=1, name="stall loop:42",
                 start_s=now_s - 12, end_s=now_s, attributes=told)  # fmt: skip
    Segments(folder / "segments").write("0001", [Decoder().decode(protobuf(stall))])


def test_a_process_that_stands_still_is_no_all_clear_for_people_nor_for_machines(run, tmp_path):
    stand_still(tmp_path)

    text = " ".join(run("explain", "--store", tmp_path).output.split())
    (told,) = json.loads(run("explain", "--store", tmp_path, "--json").output)

    assert "This is no all-clear" in text
    assert "scan blocks it at shop.py:9" in text
    assert "why504 attach 42" in text
    assert any("why504 attach 42" in line for line in told["finding"]["advice"])
    assert (told["count"], told["victims"], told["finding"]["cause"]) == (0, [], "B1")
    assert told["finding"]["site"] == "shop.py:9"


def test_now_of_a_store_without_evidence_is_empty_and_of_none_says_how_to_get_one(run, tmp_path):
    assert "0 open" in run("now", "--store", tmp_path).output
    assert run("now", "--store", tmp_path / "none").exit_code == 2
    assert "is no length of time" in run("now", "--store", tmp_path, "--slower-than", "x").output


def test_the_explorer_is_told_where_everything_is(run, tmp_path, monkeypatch):
    told = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WHY504_NGINX", raising=False)
    monkeypatch.setattr(
        "why504.cli.programs._become", lambda command, environment: told.update(environment)
    )

    run("explorer", "--store", "here", "--ledger", "book.sqlite", "--limits", "l.json",
        "--url", "http://127.0.0.1:1", "--url", "http://127.0.0.1:2")  # fmt: skip

    assert told["WHY504_STORE"] == str(tmp_path / "here")
    assert told["WHY504_ALERTS_LEDGER"] == str(tmp_path / "book.sqlite")
    assert told["WHY504_LIMITS"] == str(tmp_path / "l.json")
    assert told["WHY504_PROBE"] == "http://127.0.0.1:1,http://127.0.0.1:2"
    assert "WHY504_NGINX" not in told


def test_a_post_mortem_without_the_explorer_says_what_to_install(run, tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    missing = {"vl_convert"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else found(name)
    )

    for command in ("postmortem", "explorer"):
        result = run(command, "--store", tmp_path)
        assert result.exit_code == 2
        assert "pip install 'why504[explorer]'" in result.output


def test_a_post_mortem_goes_on_as_the_program_beside(run, tmp_path, monkeypatch):
    went: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda _, command, __: went.append(command))

    run("postmortem", "c1; rm", "--store", tmp_path, "--html", "a b.html", "--lang", "vi")
    run("postmortem", "--", "--json")

    files = ["--store", str(tmp_path), "--lang", "vi", "--html", "a b.html"]
    assert went[0][1:] == ["-m", "dashboards.share", *files, "--", "c1; rm"]
    assert went[1][-2:] == ["--", "--json"]


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--lang", "de"), "there are en and vi"), (("--store", "/gone", "--lang", ""), "en and vi")],
)
def test_a_language_that_there_is_not_is_told(run, options, says):
    result = run("postmortem", *options)

    assert result.exit_code == 2
    assert says in result.output


def test_the_explorer_listens_where_it_is_told_to_and_on_this_machine_otherwise(run, monkeypatch):
    went: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda _, command, __: went.append(command))

    run("explorer")
    run("explorer", "--host", "::1")
    refused = run("explorer", "--host", "192.0.2.99")

    addresses = [command[command.index("--server.address") + 1] for command in went]
    assert addresses == ["127.0.0.1", "::1"]
    assert refused.exit_code == 2
    assert "no address of this machine" in refused.output

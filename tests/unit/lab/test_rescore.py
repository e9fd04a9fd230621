import json
import shutil

import pyarrow as pa
import pytest

from lab.faults import fault
from lab.load import Summary
from lab.matrix import __main__ as matrix
from lab.matrix.cell import Cell, record
from lab.matrix.compared import ablated
from lab.matrix.kept import Course, course_of, is_kept, keep
from lab.matrix.rescore import row_of
from lab.matrix.stored import OURS, STOCK, everything
from lab.score import expected
from why504 import names
from why504.diagnose import explain
from why504.receive.segments import Segments
from why504.receive.table import schema
from why504.stores.parquet import ParquetStore

SECOND = 10**9
TRACES = ["a1" * 16, "b2" * 16, "c3" * 16]
COURSE = Course(
    fault="F1",
    under="burst",
    seed=3,
    expected=expected(fault("F1")),
    clients=Summary(5, {200: 2, 504: 3}, 0.1, 4.0, 1000.0),
    gateway_504=tuple(TRACES),
    verdict_after_s=1.25,
    duration_s=21.0,
    played_at="abc1234",
)
CELL = Cell("F1", "burst", 3)


def span(number, trace, service, **more):
    told = {
        "trace_id": bytes.fromhex(trace), "span_id": bytes([number]) * 8, "name": "POST /v1/end",
        "kind": 2, "status": 0, "service": service, "instance": f"{service}-1",
        "start_ns": number * SECOND, "end_ns": (number + 4) * SECOND,
        "attributes": '{"http.request.method":"POST","http.route":"/v1/end"}',
        "resource_attributes": "{}",
    }  # fmt: skip
    return {**told, **more}


def rows(*told):
    return pa.Table.from_pylist(list(told), schema())


@pytest.fixture
def played(tmp_path):
    """Three requests that the gateway gave up on; the first reached a service that computed."""
    run = tmp_path / "run"
    gateway = [
        span(n, trace, names.GATEWAY_SERVICE, http_status=504)
        for n, trace in enumerate(TRACES, start=1)
    ]
    app = span(9, TRACES[0], "shop", start_ns=SECOND, parent_id=bytes([1]) * 8)
    ours = Segments(run / OURS / "segments")
    ours.write_table("0001", rows(*gateway[:2]))
    ours.write_table("0002", rows(app, gateway[2]))
    stock = [span(7, TRACES[0], "stock"), span(8, TRACES[1], "stock", kind=1)]
    Segments(run / STOCK / "segments").write_table("0001", rows(*stock))
    return run


@pytest.fixture
def results(played, tmp_path):
    results = tmp_path / "results"
    keep(played, results / str(CELL), COURSE)
    return results


def test_what_is_kept_scores_as_the_run_s_own_stores_do(played, results):
    own = everything(ParquetStore(played / OURS))
    incidents = explain(own)

    row = row_of(results / str(CELL))

    assert row["incidents"] == [incident.id for incident in incidents] != []
    assert row["trigger"] == incidents[0].finding.cause
    assert row["ablations"] == ablated(own)
    assert (row["victims"], row["gateway_504"], row["client_504"]) == (3, 3, 3)
    assert row["victims_with_app_span"] == 1
    assert (row["victims_with_stock_span"], row["victims_with_stock_server_span"]) == (2, 1)
    assert (row["under"], row["seed"], row["duration_s"]) == ("burst", 3, 21.0)
    assert row["seconds_first_504_to_verdict"] == 1.25
    assert row["played_at"] == "abc1234"


def test_a_run_is_kept_as_one_file_a_store_and_its_course_comes_back(results):
    kept = results / str(CELL)

    assert is_kept(kept)
    assert len(list(kept.rglob("*.parquet"))) == 2
    assert course_of(kept) == COURSE


def test_a_run_of_which_nothing_was_stored_is_kept_too(tmp_path):
    keep(tmp_path / "none", tmp_path / "kept", COURSE)

    row = row_of(tmp_path / "kept")

    assert row["trigger"] == "N0"
    assert "3 of the gateway's 504s are missing" in row["problems"]


@pytest.fixture
def at_results(results, monkeypatch, tmp_path):
    """Results that `lab.matrix` finds, and no page to write."""
    monkeypatch.setattr(matrix, "RESULTS", tmp_path)
    monkeypatch.setattr(matrix, "PAGE", tmp_path / "docs" / "matrix.md")
    monkeypatch.setattr(matrix, "ROWS", tmp_path / "docs" / "matrix.json")
    results.rename(tmp_path / "matrix")
    return tmp_path


ONE = ["--faults", "F1", "N0", "--conditions", "burst", "--runs", "3", "--jobs", "1"]


def test_scoring_again_publishes_what_is_kept_plays_nothing_and_says_what_is_missing(
    at_results, capsys
):
    assert matrix.main([*ONE, "--again"]) == 2

    (row,) = json.loads((at_results / "matrix.json").read_text())["runs"]
    assert row == json.loads((at_results / "matrix" / f"{CELL}.json").read_text())
    assert row == json.loads(json.dumps(row_of(at_results / "matrix" / str(CELL))))
    assert "5 of 6 runs are missing" in capsys.readouterr().err


def test_resuming_plays_only_what_is_not_recorded(at_results, monkeypatch):
    played = []

    def play_all(cells, jobs, start):
        played.extend(cells)
        return iter(())

    class Playing:
        start = None

        def __init__(self, results):
            self.results = results

    monkeypatch.setattr(matrix, "Playing", Playing)
    monkeypatch.setattr(matrix, "play_all", play_all)
    record(CELL, at_results / "matrix", row_of(at_results / "matrix" / str(CELL)))

    matrix.main([*ONE, "--resume"])

    assert len(played) == 5
    assert CELL not in played


def test_a_sample_never_overwrites_the_whole(at_results):
    whole = at_results / "matrix.json"
    whole.write_text("whole")

    matrix.main([*ONE, "--sample", "2", "--again"])

    assert whole.read_text() == "whole"
    assert json.loads((at_results / "test-matrix.json").read_text())["runs"] == []


def test_what_is_published_needs_not_be_played_on_another_machine(at_results, monkeypatch):
    (at_results / "docs").mkdir()
    three = ["--faults", "F1", "--conditions", "burst", "--runs", "3"]
    matrix.main([*three, "--again", "--page"])
    shutil.rmtree(at_results / "matrix")
    monkeypatch.setattr(matrix, "_played", lambda cells, *_: [(cell, None) for cell in cells[:0]])

    matrix.main([*three, "--resume"])

    (row,) = json.loads((at_results / "matrix.json").read_text())["runs"]
    assert (row["fault"], row["under"], row["seed"]) == ("F1", "burst", 3)
    assert "1 of " in (at_results / "docs" / "matrix.md").read_text()

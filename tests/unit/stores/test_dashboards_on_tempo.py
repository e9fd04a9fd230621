"""What Grafana's tables ask of Tempo finds a hang: victims, holders, and the line that blocks."""

import json
from urllib.parse import urlencode

import pytest

from lab.prove.asked import TEMPO, asked, boards
from lab.standins.tempofill import tempo_with
from tests.unit.receive.otlp_bodies import protobuf
from tests.unit.stores.hangs_by_hand import API, GATEWAY, loop_hang, pool_hang
from why504.receive.decode import Decoder
from why504.receive.segments import Segments
from why504.stores.parquet import ParquetStore

GIVEN = {"service_name": "api", "family": "api", "explorer_url": "http://e"}
SEARCHES = {
    one.panel: one.text
    for board in boards()
    for one in asked(board, GIVEN)
    if one.source == TEMPO and "rate()" not in one.text
}


def tempo_of(hang, folder):
    segments = Segments(folder / "segments")
    for number, (spans, resource) in enumerate(zip(hang, (GATEWAY, API), strict=True)):
        segments.write(f"{number:04}", [Decoder().decode(protobuf(*spans, resource=resource))])
    return tempo_with(folder), ParquetStore(folder).extent()


def found(tempo, window, panel):
    """Return what a panel's rows say: a dict of attributes a span."""
    asked_ = {
        "q": SEARCHES[panel],
        "limit": 20,
        "spss": 3,
        "start": window.start_ns // 10**9 - 1,
        "end": window.end_ns // 10**9 + 1,
    }
    answer = tempo.answer(f"/api/search?{urlencode(asked_)}", {})
    assert answer.status == 200, answer.body
    return [
        {one["key"]: next(iter(one["value"].values())) for one in span.get("attributes", ())}
        for trace in json.loads(answer.body)["traces"]
        for spans in trace["spanSets"]
        for span in spans["spans"]
    ]


def test_a_blocked_loop_is_found_with_its_line(tmp_path):
    tempo, window = tempo_of(loop_hang(), tmp_path)

    (line, *_) = found(tempo, window, "Which lines block the event loop?")
    assert (line["code.file.path"], line["code.line.number"]) == ("shop/pay.py", "7")
    assert line["why504.resource"] == "loop:42"
    assert len(found(tempo, window, "The latest 504s")) >= 20
    assert found(tempo, window, "Who has had a connection for long?") == []


def test_a_full_pool_is_found_with_who_has_it_and_who_waits(tmp_path):
    tempo, window = tempo_of(pool_hang(), tmp_path)

    holders = found(tempo, window, "Who has had a connection for long?")
    assert {(one["why504.resource"], one["code.line.number"]) for one in holders} == {
        ("db.pool:main", "7")
    }
    assert found(tempo, window, "Who waited for a connection?")
    assert found(tempo, window, "Which requests are still open?")
    assert len(found(tempo, window, "The latest 504s")) == 8
    assert found(tempo, window, "Which lines block the event loop?") == []


@pytest.mark.parametrize("panel", SEARCHES)
def test_every_search_is_understood(panel, tmp_path):
    tempo, window = tempo_of(pool_hang(), tmp_path)

    found(tempo, window, panel)

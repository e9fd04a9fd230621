"""A hung service is killed, and its collector was dead: its file alone tells why it hung."""

from __future__ import annotations

import shutil
import time

import duckdb
import pytest

from tests.integration.blackbox.boxed_services import explained, run, serving, wait_until
from why504.cli.boxes import Salvage
from why504.receive import boxes
from why504.receive.decode import Decoder
from why504.receive.segments import KEEP_ALL
from why504.receive.spool import Spool

HANGING = """
import asyncio, threading, time
from fastapi import FastAPI
import why504
app = FastAPI()
why504.instrument(app)

@app.get("/ok")
async def ok():
    return {}

@app.get("/report")
async def report():
    time.sleep(1000)  # the line

@app.get("/patient")
async def patient():
    await asyncio.sleep(1000)
"""
LINE = 1 + HANGING.splitlines().index("    time.sleep(1000)  # the line")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """The black box of a service that hung and was killed."""
    folder = tmp_path_factory.mktemp("hung")
    with serving(folder, HANGING) as service:
        service.ask_in_vain("/patient")
        time.sleep(0.5)
        service.ask_in_vain("/report")
        time.sleep(0.5)
        for _ in range(3):
            service.ask_in_vain("/ok")
        wait_until(lambda: b"stall" in _bodies(service.box), "the stall is in the box")
        time.sleep(3)
        service.kill()
    return service.box


def _bodies(place) -> bytes:
    if not place.exists() or not list(place.iterdir()):
        return b""
    return b"".join(body for part in boxes.parts(place) for body in boxes.read(part).requests)


def rows(store) -> list[tuple[bytes, bytes]]:
    files = str(store / "segments" / "*.parquet")
    return duckdb.sql(f"SELECT trace_id, span_id FROM read_parquet('{files}')").fetchall()


def cause(incident):
    return incident["finding"]["cause"]


def alike(incidents):
    return [{key: value for key, value in one.items() if key != "id"} for one in incidents]


def test_the_file_alone_names_the_cause_and_the_line(box):
    (incident,) = explained("--black-box", box)

    assert cause(incident) == "B1"
    assert incident["finding"]["site"] == f"boxed.py:{LINE}"
    (part,) = boxes.parts(box)
    assert alike(explained("--black-box", part)) == alike([incident])


def test_people_read_it_and_get_their_picture(box, tmp_path):
    said = run("explain", "--black-box", box, "--picture", tmp_path / "incident.svg")

    assert f"boxed.py:{LINE}" in said
    assert f"boxed.py:{LINE}" in (tmp_path / "incident.svg").read_text().replace("&#160;", " ")


def test_a_store_that_has_half_of_it_gets_the_other_half_once(box, tmp_path):
    (part,) = boxes.parts(box)
    requests = boxes.read(part).requests
    spool = Spool(tmp_path / "half", retention=KEEP_ALL)
    for body in requests[::2]:
        spool.add(body, Decoder().decode(body)).result()
    spool.close()
    half = len(rows(tmp_path / "half"))

    first = run("import", box, "--store", tmp_path / "half")
    again = run("import", box, part, "--store", tmp_path / "half")
    run("import", box, "--store", tmp_path / "empty")

    assert len(set(rows(tmp_path / "empty"))) == len(rows(tmp_path / "empty"))
    assert sorted(rows(tmp_path / "half")) == sorted(rows(tmp_path / "empty"))
    new = len(rows(tmp_path / "empty")) - half
    assert f"{new} spans and records; {half} more were known" in first
    assert again.count(f"0 spans and records; {half + new} more were known") == 2
    told = [
        explained("--store", tmp_path / name, "--last", "all", "--slower-than", "1s")
        for name in ("half", "empty")
    ]
    assert told[0] == told[1]
    assert cause(told[0][0]) == "B1"


def test_a_torn_box_is_explained_by_what_is_whole(box, tmp_path):
    (part,) = boxes.parts(box)
    torn = tmp_path / part.name
    shutil.copy(part, torn)
    with torn.open("r+b") as file:
        file.truncate(torn.stat().st_size - 7)
        file.seek(torn.stat().st_size // 2)
        file.write(b"not what was here")

    (incident,) = explained("--black-box", torn)

    assert cause(incident) == "B1"


def test_what_is_no_black_box_is_refused_with_words(tmp_path):
    from typer.testing import CliRunner

    from why504.cli import app

    (tmp_path / "none.w504box").write_bytes(b"nothing of ours")
    (tmp_path / "empty").mkdir()
    for place in ("none.w504box", "empty", "missing"):
        done = CliRunner().invoke(app, ["explain", "--black-box", str(tmp_path / place)])
        assert done.exit_code == 2
        assert "Traceback" not in done.output


def test_the_receiver_stores_what_only_the_box_of_a_dead_process_has(box, tmp_path, monkeypatch):
    monkeypatch.setattr("why504.cli.boxes._QUIET_S", 0.0)
    store = tmp_path / "store"
    spool = Spool(store, retention=KEEP_ALL)
    salvage = Salvage(box, store, spool)
    new = salvage.look()
    assert new > 0
    assert salvage.look() == 0
    spool.close()
    assert len(rows(store)) == new

    spool = Spool(store, retention=KEEP_ALL)
    assert Salvage(box, store, spool).look() == 0, "a receiver that begins again"
    spool.close()

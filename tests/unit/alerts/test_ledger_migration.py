"""A ledger that an older router wrote goes on where it was."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest
from alerts_by_hand import Router, alert, at

from why504.alerts.kept.ledger import Ledger

# As the first version made it, with what it kept.
OLD = """
CREATE TABLE alerts(
    fingerprint TEXT NOT NULL, starts_ns INTEGER NOT NULL, status TEXT NOT NULL,
    incident TEXT NOT NULL, expires_ns INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY(fingerprint, starts_ns)) WITHOUT ROWID;
CREATE INDEX alerts_of_incident ON alerts(incident) WHERE status = 'firing';
CREATE INDEX alerts_that_expire ON alerts(expires_ns) WHERE status = 'firing';
CREATE TABLE incidents(
    key TEXT PRIMARY KEY, service TEXT NOT NULL, opened_ns INTEGER NOT NULL, level INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0, woken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX incidents_of_service ON incidents(service, opened_ns);
CREATE TABLE changes(
    id INTEGER PRIMARY KEY, level INTEGER NOT NULL, incident TEXT NOT NULL,
    document TEXT NOT NULL, taken_ns INTEGER NOT NULL, message INTEGER);
CREATE INDEX changes_untold ON changes(level, id) WHERE message IS NULL;
CREATE TABLE messages(
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, level INTEGER NOT NULL,
    body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    frozen_ns INTEGER NOT NULL, ended_ns INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX messages_waiting ON messages(level, id) WHERE state = 'waiting';
CREATE TABLE findings(
    incident TEXT PRIMARY KEY, document TEXT NOT NULL, found_ns INTEGER NOT NULL, message INTEGER
    ) WITHOUT ROWID;
CREATE TABLE unreadable(
    id INTEGER PRIMARY KEY, reason TEXT NOT NULL, taken_ns INTEGER NOT NULL);
"""


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "alerts.sqlite"
    document = json.dumps(asdict(alert()))
    old = sqlite3.connect(path)
    old.executescript(OLD)
    old.execute(
        "INSERT INTO alerts VALUES (?, ?, 'firing', 'i', ?, ?)",
        (*alert().identity, at(1e6), document),
    )
    old.execute("INSERT INTO incidents VALUES ('i', 'shop', ?, 0, 1, 1)", (at(0),))
    old.execute("INSERT INTO changes VALUES (1, 0, 'i', ?, ?, 1)", (document, at(0)))
    old.execute(
        "INSERT INTO messages VALUES (1, 'r', 0, ?, 'waiting', 3, ?, NULL, 'x')",
        ('{"text": "old"}', at(0)),
    )
    old.commit()
    old.close()
    return path


def test_what_it_had_frozen_is_sent_and_what_it_knew_is_known(file):
    router = Router(file.parent)
    assert router.take(alert()) == 0
    router.run(5)

    assert router.room.texts == ["old"]
    assert list(router.room.seen) == ["r"]
    assert router.ledger.history(5)[0].room == "main"
    assert router.ledger.states("second") == {"waiting": 0, "delivered": 0, "dead": 0}


def test_a_ledger_is_changed_once_whoever_opens_it(file):
    for _ in range(3):
        Ledger(file).close()
    with sqlite3.connect(file) as opened:
        version = opened.execute("PRAGMA user_version").fetchone()
        columns = [row[1] for row in opened.execute("PRAGMA table_info(messages)")]
    opened.close()

    assert version == (1,)
    assert columns.count("room") == 1


def test_a_new_ledger_is_as_one_that_was_changed(file, tmp_path):
    Ledger(file).close()
    Ledger(tmp_path / "new.sqlite").close()

    shapes = []
    for path in (file, tmp_path / "new.sqlite"):
        opened = sqlite3.connect(path)
        names = [row[0] for row in opened.execute("SELECT name FROM sqlite_master ORDER BY name")]
        shapes.append((names, opened.execute("PRAGMA table_info(messages)").fetchall()))
        opened.close()
    assert shapes[0] == shapes[1]

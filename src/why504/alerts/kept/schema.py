"""The ledger's tables: alerts as they are, what has to be told of them, and what was told.

New tables and indexes go into `SCHEMA`; what changes tables that files have, into `MIGRATIONS`.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alerts(
    fingerprint TEXT NOT NULL, starts_ns INTEGER NOT NULL, status TEXT NOT NULL,
    incident TEXT NOT NULL, expires_ns INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY(fingerprint, starts_ns)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alerts_of_incident ON alerts(incident) WHERE status = 'firing';
CREATE INDEX IF NOT EXISTS alerts_that_expire ON alerts(expires_ns) WHERE status = 'firing';
CREATE TABLE IF NOT EXISTS incidents(
    key TEXT PRIMARY KEY, service TEXT NOT NULL, opened_ns INTEGER NOT NULL, level INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0, woken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incidents_of_service ON incidents(service, opened_ns);
CREATE TABLE IF NOT EXISTS changes(
    id INTEGER PRIMARY KEY, level INTEGER NOT NULL, incident TEXT NOT NULL,
    document TEXT NOT NULL, taken_ns INTEGER NOT NULL, message INTEGER);
CREATE INDEX IF NOT EXISTS changes_untold ON changes(level, id) WHERE message IS NULL;
CREATE INDEX IF NOT EXISTS changes_of_message ON changes(message) WHERE message IS NOT NULL;
CREATE INDEX IF NOT EXISTS changes_of_incident ON changes(incident, level);
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, level INTEGER NOT NULL,
    body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    frozen_ns INTEGER NOT NULL, ended_ns INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS messages_waiting ON messages(level, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS messages_not_there ON messages(id) WHERE state != 'delivered';
CREATE TABLE IF NOT EXISTS notices(
    incident TEXT NOT NULL, kind TEXT NOT NULL, room TEXT NOT NULL, message INTEGER NOT NULL,
    PRIMARY KEY(incident, kind, room)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acknowledgements(
    incident TEXT PRIMARY KEY, name TEXT NOT NULL, at_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS findings(
    incident TEXT PRIMARY KEY, document TEXT NOT NULL, found_ns INTEGER NOT NULL, message INTEGER
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aftermaths(
    incident TEXT PRIMARY KEY, document TEXT NOT NULL, found_ns INTEGER NOT NULL, message INTEGER
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreadable(
    id INTEGER PRIMARY KEY, reason TEXT NOT NULL, taken_ns INTEGER NOT NULL);
"""

MIGRATIONS: Final = (("ALTER TABLE messages ADD COLUMN room TEXT NOT NULL DEFAULT 'main'",),)
"""Statements, by the version of the file (`PRAGMA user_version`) that they start from."""

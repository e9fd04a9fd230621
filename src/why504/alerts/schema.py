"""The ledger's tables: alerts as they are, what has to be told of them, and what was told."""

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
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, level INTEGER NOT NULL,
    body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    frozen_ns INTEGER NOT NULL, ended_ns INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS messages_waiting ON messages(level, id) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS findings(
    incident TEXT PRIMARY KEY, document TEXT NOT NULL, found_ns INTEGER NOT NULL, message INTEGER
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aftermaths(
    incident TEXT PRIMARY KEY, document TEXT NOT NULL, found_ns INTEGER NOT NULL, message INTEGER
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreadable(
    id INTEGER PRIMARY KEY, reason TEXT NOT NULL, taken_ns INTEGER NOT NULL);
"""

"""What the span of a statement is called and tells: nothing that the application wrote into it."""

from __future__ import annotations

import pytest
from psycopg import sql

from why504 import names
from why504.probe.clients.database import describe
from why504.probe.clients.statements import statement_span

SECRET = "topsecret"


@pytest.mark.parametrize(
    ("statement", "name", "text"),
    [
        (
            f"/* don't cache */ SELECT * FROM users WHERE ssn = '{SECRET}'",
            "SELECT users",
            "SELECT * FROM users WHERE ssn = ?",
        ),
        (
            f"-- Bob's query\nSELECT * FROM users WHERE ssn = '{SECRET}'",
            "SELECT users",
            "SELECT * FROM users WHERE ssn = ?",
        ),
        (
            f"SELECT 1 FROM f WHERE dir = 'C:\\' AND token = '{SECRET}'",
            "SELECT f",
            "SELECT ? FROM f WHERE dir = ? AND token = ?",
        ),
        (
            f"SELECT \"it's\" FROM t WHERE a = '{SECRET}'",
            "SELECT t",
            'SELECT "it\'s" FROM t WHERE a = ?',
        ),
        (f"SELECT 1 /* user={SECRET} */", "SELECT", "SELECT ?"),
        (
            sql.SQL("SELECT {} FROM t WHERE a = {}").format(
                sql.Identifier('it"s'), sql.Literal(SECRET)
            ),
            "SELECT t",
            'SELECT "it""s" FROM t WHERE a = ?',
        ),
        (f"SELECT '{SECRET}' FROM t WHERE a = %(a)s".encode(), "SELECT t", None),
    ],
)
def test_a_driver_s_statement_is_told_without_what_is_written_into_it(statement, name, text):
    named, told = statement_span(statement, {})

    assert named == name
    assert SECRET not in str(told[names.DB_QUERY])
    assert text is None or told[names.DB_QUERY] == text


def test_a_span_is_not_named_after_a_word_of_a_value():
    name, told = describe("SELECT *, 'mail from alice@secret.example' FROM t", "postgresql")

    assert name == "SELECT t"
    assert told[names.DB_COLLECTION] == "t"
    assert "alice" not in str(told)


def test_a_table_that_is_named_further_on_than_is_told_names_the_span():
    columns = ", ".join(f"t.column_{number}" for number in range(300))
    name, told = describe(f"SELECT {columns} FROM t")

    assert name == "SELECT t"
    assert len(told[names.DB_QUERY]) == 2000
    assert told[names.DB_QUERY].endswith("…")

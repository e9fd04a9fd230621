import pytest
from hypothesis import given
from hypothesis import strategies as st

from why504.probe.clients.literals import LONGEST, without_literals

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT * FROM t1 WHERE a = $1 AND b2 = 42", "SELECT * FROM t1 WHERE a = $1 AND b2 = ?"),
        ("UPDATE u SET n = 'O''Brien' WHERE id = 7", "UPDATE u SET n = ? WHERE id = ?"),
        ("SELECT -1.5e-3, .5, 0xFF, 1_000", "SELECT -?, ?, ?, ?"),
        ('SELECT "it\'s 1" FROM "a""b"', 'SELECT "it\'s 1" FROM "a""b"'),
        ("SELECT\n  'a',\n\t'b'  ", "SELECT ?, ?"),
        ("SELECT 1 /* trace 00-ab */ -- bye", "SELECT ?"),
        (
            "SELECT x FROM t WHERE d = date '2026-01-01'::date",
            "SELECT x FROM t WHERE d = date ?::date",
        ),
        ("", ""),
    ],
)
def test_values_become_question_marks_and_names_stay(statement, expected):
    assert without_literals(statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT '{SECRET}'",
        f"SELECT '{SECRET}",
        f"SELECT E'a\\'{SECRET}'",
        f"SELECT E'{SECRET}\\",
        f"SELECT U&'{SECRET}'",
        f"SELECT B'1', '{SECRET}'",
        f"SELECT $${SECRET}$$",
        f"SELECT $tag$ ' $$ {SECRET} $tag$",
        f"SELECT $tag$ {SECRET} $ta",
        f"SELECT /* {SECRET} */ 1",
        f"SELECT /* {SECRET}",
        f"SELECT /* a /* b */ {SECRET} */ 1",
        f"SELECT 1 -- {SECRET}",
        f"SELECT '--' , '{SECRET}'",
        f"SELECT '/*', '{SECRET}', '*/'",
        f"SELECT \"a'b\", '{SECRET}'",
        f"SELECT 'a''{SECRET}'",
        f"/* don't */ SELECT '{SECRET}'",
        f"-- don't\nSELECT '{SECRET}'",
        f"SELECT 'C:\\', '{SECRET}'",
    ],
)
def test_no_value_survives_however_it_is_quoted_or_cut(statement):
    assert SECRET not in without_literals(statement)


@pytest.mark.parametrize(
    "statement",
    [
        f'SELECT "{SECRET}"',
        f"SELECT 'it\\'s {SECRET}'",
        f'SELECT "say \\"{SECRET}"',
        f"SELECT _utf8mb4'{SECRET}'",
        f"SELECT 'a' # {SECRET}",
        f"SELECT `a'b`, '{SECRET}'",
        f'SELECT "{SECRET}',
    ],
)
def test_no_value_survives_in_the_quotes_of_mysql(statement):
    assert SECRET not in without_literals(statement, "mysql")


def test_names_of_mysql_and_its_markers_stay():
    assert (
        without_literals("SELECT `a` FROM t1 WHERE b = %s AND c = 'x'", "mariadb")
        == "SELECT `a` FROM t1 WHERE b = %s AND c = ?"
    )


@pytest.mark.parametrize(
    ("system", "statement", "expected"),
    [
        (
            "oracle.db",
            f"SELECT q'[it's {SECRET}]', NQ'{{it's {SECRET}}}', 'x' a",
            "SELECT ?, ?, ? a",
        ),
        ("oracle.db", f"SELECT q'!it's {SECRET}!', q'(a)b' {SECRET})', 'x' a", "SELECT ?, ?, ? a"),
        ("oracle.db", f"SELECT q'<it's {SECRET}", "SELECT ?"),
        (
            "microsoft.sql_server",
            f"SELECT [O'Brien], [a]]'b] FROM [t] WHERE a = '{SECRET}'",
            "SELECT [O'Brien], [a]]'b] FROM [t] WHERE a = ?",
        ),
        ("sqlite", f"SELECT [O'Brien], `it's`, '{SECRET}'", "SELECT [O'Brien], `it's`, ?"),
        ("postgresql", f"SELECT (ARRAY['{SECRET}', '']) [1]", "SELECT (ARRAY[?, ?]) [?]"),
    ],
)
def test_each_database_is_read_by_its_own_quotes(system, statement, expected):
    assert without_literals(statement, system) == expected


@given(
    st.lists(st.text(alphabet="aZ'\"$\\ -/*0", max_size=12), max_size=5),
    st.integers(min_value=0, max_value=200),
)
def test_a_value_quoted_as_postgresql_quotes_it_never_survives_a_cut(values, cut):
    marked = [f"{value}{SECRET}".replace("'", "''") for value in values]
    statement = "SELECT " + ", ".join(f"'{value}'" for value in marked)

    assert SECRET not in without_literals(statement)
    assert "hunter" not in without_literals(statement[: 7 + cut])


@given(st.text(max_size=3000))
def test_the_result_is_one_bounded_line_whatever_comes_in(statement):
    text = without_literals(statement)

    assert len(text) <= LONGEST
    assert "\n" not in text


def test_a_long_statement_is_cut_with_a_mark():
    text = without_literals("SELECT " + ", ".join(f"column_{n}" for n in range(500)))

    assert len(text) == LONGEST
    assert text.endswith("…")


def test_a_statement_made_to_be_slow_to_read_is_read_at_once():
    for hostile in ("'" * 4096, "/*" * 2048, "$a$" * 1365, '"' * 4096, "1." * 2048, "$a" * 2048):
        assert len(without_literals(hostile)) <= LONGEST
    for system, hostile in (("oracle.db", "q'[" * 1365), ("microsoft.sql_server", "[" * 4096)):
        assert len(without_literals(hostile, system)) <= LONGEST

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

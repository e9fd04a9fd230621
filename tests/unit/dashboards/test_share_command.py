"""`python -m dashboards.share`: which incident, into which files, and what it says if it can't."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboards.share import __main__ as command
from dashboards.share import dossier
from tests.unit.dashboards import explorer_examples as told
from why504.model import Incident

POOL, LOOP = told.pool_incident(), told.loop_incident()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose store knows two incidents; the loop's is the later one."""
    memory, found = told.both_hangs()
    monkeypatch.setattr(command, "open_store", lambda _: memory)
    monkeypatch.setattr(command, "explain", lambda _: list(found))
    monkeypatch.setattr(dossier, "explain", lambda _, **__: list(found))
    return tmp_path


def run(store: Path, *arguments: str) -> int:
    return command.main(["--store", str(store), *arguments])


def test_without_a_name_it_is_the_latest_and_without_a_file_markdown(store: Path, capsys):
    assert run(store) == 0

    said = capsys.readouterr()
    assert said.out.startswith("# Post-mortem: B1, blocking call in async code\n")
    assert said.err == ""


@pytest.mark.parametrize("name", [POOL.id, "20261123-2303"])
def test_an_incident_is_named_by_its_id_or_how_it_begins(store: Path, capsys, name: str):
    assert run(store, name) == 0

    assert capsys.readouterr().out.startswith("# Post-mortem: F1")


@pytest.mark.parametrize(("name", "count"), [("gone", "0"), ("2026", "2")])
def test_a_name_of_none_or_of_several_lists_what_there_is(
    store: Path, capsys, name: str, count: str
):
    assert run(store, name) == 2

    said = capsys.readouterr()
    assert f"names {count} incidents" in said.err
    assert POOL.id in said.err
    assert said.out == ""


def test_all_files_are_written_in_the_language_that_was_asked_for(store: Path, capsys):
    files = {kind: store / f"incident.{kind}" for kind in command.KINDS}

    asked = [text for kind, file in files.items() for text in (f"--{kind}", str(file))]
    assert run(store, "--lang", "vi", POOL.id, *asked) == 0

    assert '<html lang="vi">' in files["html"].read_text()
    assert "## Tóm tắt" in files["markdown"].read_text()
    assert json.loads(files["json"].read_text())["incident"]["id"] == POOL.id
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.split() == [str(file) for file in files.values()]


def test_a_file_is_replaced_in_one_go_by_one_that_is_no_more_secret_than_others(store: Path):
    file, other = store / "incident.md", store / "other.md"
    file.write_text("of yesterday")
    other.touch()

    with file.open() as kept:
        command.write(file, "of today")
        assert kept.read() == "of yesterday"

    assert file.read_text() == "of today"
    assert file.stat().st_mode == other.stat().st_mode
    assert {path.name for path in store.iterdir()} == {"incident.md", "other.md"}


@pytest.mark.parametrize("place", ["gone/incident.html", "."])
def test_a_file_that_cant_be_written_is_told_and_leaves_nothing_behind(
    store: Path, capsys, place: str
):
    inside = store / "inside"
    inside.mkdir()

    assert run(store, "--markdown", str(inside / place)) == 2

    assert "can't write" in capsys.readouterr().err
    assert list(store.iterdir()) == [inside]
    assert list(inside.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys):
    assert command.main(["--store", str(tmp_path / "gone")]) == 2

    assert "is no folder" in capsys.readouterr().err


def test_a_store_without_incidents_has_nothing_to_tell(
    store: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    none: list[Incident] = []
    monkeypatch.setattr(command, "explain", lambda _: none)

    assert run(store) == 2

    assert "no request was given up on" in capsys.readouterr().err


def test_text_that_is_no_unicode_does_not_keep_the_file_from_being_written(store: Path):
    command.write(store / "incident.md", "half a pair: \ud800")

    assert "half a pair" in (store / "incident.md").read_text(encoding="utf-8")

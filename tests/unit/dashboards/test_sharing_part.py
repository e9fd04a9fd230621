"""The part of the incident page that hands it on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from dashboards import evidence
from dashboards.draw.palette import LIGHT
from dashboards.language import Say
from dashboards.settings import Settings
from dashboards.views import sharing
from dashboards.visit import Visit
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, interpreted

POOL = told.pool_incident()


def buttons(page: AppTest) -> list[Any]:
    return [button.proto for button in page.get("download_button")]


def test_files_are_offered_and_none_is_made_before_somebody_asks(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    def made(*_: object) -> str:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr(sharing, "_made", made)

    page = explorer("incident", *told.both_hangs(), incident=POOL.id)

    assert [button.label for button in buttons(page)] == [
        "Page (HTML)",
        "Text (Markdown)",
        "Data (JSON)",
    ]
    assert all(button.deferred_file_id and not button.url for button in buttons(page))


def test_the_address_of_the_page_can_be_copied(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id, lang="vi")

    address = urlsplit(page.text[-1].value)
    assert parse_qs(address.query) == {"incident": [POOL.id], "lang": ["vi"]}


@pytest.mark.parametrize("hostile", ["[x](javascript:alert(1))", "../../etc/passwd", "a&b=c#d"])
def test_an_id_that_is_markup_is_neither_read_nor_a_path(explorer: Opened, hostile: str):
    page = explorer("incident", told.MemoryStore(), [replace(POOL, id=hostile)])

    shown = page.text[-1].value
    assert parse_qs(urlsplit(shown).query) == {"incident": [hostile]}
    assert hostile not in "".join(interpreted(page))
    assert all("javascript" not in button.help for button in buttons(page))


@pytest.mark.parametrize(
    ("told_id", "name"),
    [("20261123-230341-pool", "20261123-230341-pool"), ("../a/<b>\u202e", "ab"), ("", "")],
)
def test_a_file_is_named_after_its_incident_by_harmless_letters_only(told_id: str, name: str):
    assert sharing._name(replace(POOL, id=told_id)) == name


@pytest.mark.parametrize("kind", sharing.KINDS, ids=lambda kind: kind.suffix)
def test_each_file_is_the_incident(kind: sharing.Kind, tmp_path, monkeypatch: pytest.MonkeyPatch):
    store, _ = told.both_hangs()
    monkeypatch.setattr(evidence, "store_in", lambda _: store)
    visit = Visit(Settings(), Say(), LIGHT, UTC, {})

    made = sharing._made(kind.suffix, visit, tmp_path, POOL, "http://127.0.0.1/incident?incident=1")

    assert "broker unreachable, no connect timeout" in made
    assert "http" in made
    if kind.suffix == "json":
        assert json.loads(made)["incident"]["id"] == POOL.id

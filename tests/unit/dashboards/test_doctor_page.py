"""The page `doctor`: the ladder to scale, each source by itself, and no secret on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards import ladder
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts, drawn, interpreted, texts

SOURCES = ("WHY504_PROBE", "WHY504_NGINX", "WHY504_LIMITS", "WHY504_POSTGRES")
HEALTHY = {"client": 70, "gateway": 60, "application": 55, "llm": 15, "statement": 10}
NOBODY = "http://127.0.0.1:1"
NGINX = """
events {}
http { server { listen 80; proxy_read_timeout 9s;
  location / { proxy_pass http://127.0.0.1:8000; } } }
"""
EVIL = "<img src=x onerror=alert(1)> **bold** \u202egnp.exe"


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SOURCES:
        monkeypatch.delenv(name, raising=False)
    ladder.forget()


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, explorer: Opened) -> Any:
    """Open the page on a file of limits: `limits(document, **query)`."""

    def opened(document: object, **query: str) -> AppTest:
        path = tmp_path / "limits.json"
        path.write_text(json.dumps(document))
        monkeypatch.setenv("WHY504_LIMITS", str(path))
        ladder.forget()
        return explorer("doctor", told.MemoryStore(), **query)

    return opened


def said(page: AppTest) -> str:
    return "\n".join(texts(page))


def words_of(page: AppTest) -> list[str]:
    """Return the words above the bars, outermost first."""
    return [row["text"] for row in drawn(page)[-1]]


def test_without_a_source_it_says_what_to_set_and_which_command_does_the_same(explorer: Opened):
    page = explorer("doctor", told.MemoryStore())

    assert all(name in page.info[0].value for name in SOURCES)
    assert any(code.value.startswith("why504 doctor --url") for code in page.code)
    assert any("why504 explorer --url" in code.value for code in page.code)
    assert not charts(page)


def test_a_ladder_in_order_says_so_and_is_drawn_outermost_first(limits: Any):
    page = limits(HEALTHY)

    assert "in order" in page.success[0].value
    assert words_of(page) == [
        "client · 70 s", "gateway · 60 s", "application · 55 s", "LLM call · 15 s",
        "SQL statement · 10 s",
    ]  # fmt: skip
    assert "No limit contradicts another one" in said(page)


def test_an_inversion_is_marked_by_sign_and_word_and_told_with_its_advice(limits: Any):
    page = limits({**HEALTHY, "application": 65})

    assert "not in order" in page.error[0].value
    assert "inverted: 1 · without any limit: 0 · hints: 0" in said(page)
    assert "✗ inverted: application · 65 s" in words_of(page)
    found = next(text for text in texts(page) if text.startswith("✗ inverted: The gateway gives"))
    assert "65 s" in found
    assert any("less than 60 s" in text for text in texts(page))


def test_a_missing_limit_has_no_end(limits: Any):
    page = limits({**HEALTHY, "llm": None})

    assert "✗ missing: LLM call · no limit" in words_of(page)
    assert "without any limit: 1" in said(page)


def test_what_nobody_told_is_no_all_clear(limits: Any):
    page = limits({"gateway": 60})

    assert "something was not told" in page.success[0].value
    assert "• the application's own deadline" in said(page)
    assert "• how long a statement may take" in said(page)


def test_what_the_doctor_printed_is_read(limits: Any):
    from why504.doctor.draw import as_json
    from why504.ladder.examine import Ladder, examine
    from why504.ladder.rung import rungs_of

    page = limits(as_json(examine(Ladder(rungs_of({**HEALTHY, "llm": None}, "here")))))

    assert "✗ missing: LLM call · no limit" in words_of(page)
    assert not page.warning


def test_a_source_that_cant_be_read_hides_no_other(
    limits: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    nginx = tmp_path / "nginx.conf"
    nginx.write_text(NGINX)
    monkeypatch.setenv("WHY504_PROBE", f"{NOBODY}, http://[::1")
    monkeypatch.setenv("WHY504_NGINX", str(nginx))

    page = limits({"application": 55})

    assert "Not every source" in page.warning[0].value
    assert f"no probe answers at {NOBODY}" in said(page)
    assert "no probe answers at http://[::1" in said(page)
    assert "✗ inverted: application · 55 s" in words_of(page)
    assert any(text.endswith("location / · 9 s") for text in words_of(page))


@pytest.mark.parametrize("document", [17, {"llm": "soon"}, [{"kind": "llm"}], {"rungs": [3]}])
def test_a_file_that_makes_no_sense_is_told_and_no_ladder_drawn(limits: Any, document: object):
    page = limits(document)

    assert "Not every source" in page.warning[1].value
    assert "limits.json" in said(page)
    assert not charts(page)


def test_the_address_of_the_database_is_shown_nowhere(limits: Any, monkeypatch: pytest.MonkeyPatch):
    addresses = ("postgresql://me:s3cret@127.0.0.1:1/x", "s3cret=s3cret s3cret",
                 "postgresql://me:p@s3cret@127.0.0.1:1/x")  # fmt: skip
    for address in addresses:
        monkeypatch.setenv("WHY504_POSTGRES", address)

        page = limits(HEALTHY)

        assert "PostgreSQL" in said(page)
        shown = [*texts(page), *interpreted(page), *(code.value for code in page.code)]
        assert "s3cret" not in "".join(shown) + str(drawn(page))
        assert len(words_of(page)) == len(HEALTHY)


def test_it_is_read_again_when_asked_to(limits: Any, tmp_path: Path):
    page = limits(HEALTHY)
    (tmp_path / "limits.json").write_text(json.dumps({**HEALTHY, "llm": 99}))

    page.run()
    assert "LLM call · 15 s" in words_of(page)
    next(button for button in page.button if button.label == "Read again").click().run()

    assert "✗ inverted: LLM call · 99 s" in words_of(page)


def test_what_strangers_name_is_shown_and_interpreted_nowhere(limits: Any):
    rows = [{"kind": kind, "seconds": None, "name": EVIL, "where": EVIL} for kind in ("llm", EVIL)]

    page = limits(rows * 400)

    assert any("<img src=x" in text for text in words_of(page))
    assert "onerror" not in "".join(interpreted(page))
    assert "bold" not in "".join(interpreted(page))
    assert "\u202e" not in said(page) + str(drawn(page))


def test_hundreds_of_limits_are_counted_and_the_first_drawn(limits: Any):
    page = limits({f"call {n}": n + 1 for n in range(900)})

    assert "The first 60 of 900." in texts(page)
    assert len(words_of(page)) == 60


def test_it_speaks_vietnamese(limits: Any):
    page = limits({**HEALTHY, "llm": None}, lang="vi")

    assert "Thang thời hạn không hợp lệ" in page.error[0].value
    assert "✗ còn thiếu: LLM call · không giới hạn" in words_of(page)

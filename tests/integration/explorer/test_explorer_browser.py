"""The explorer in a real Chromium, on what the receiver's own writer stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError

from dashboards.pages import PAGES
from dashboards.words import common
from lab.stack.explorer import Explorer
from lab.tab import DRAWN_MS, PHONE, Tab
from tests.integration.explorer.conftest import Shown, card_link, marked_lines
from why504.model import Incident

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRIES = 6
OPENS_MS = 4000
PATHS = [page.path for page in PAGES]


def address(shown: Shown, path: str, incident: Incident, victim: int = 0) -> str:
    trace = incident.victims[victim].trace_id
    return f"{shown.url}/{path}?incident={incident.id}&trace={trace}"


def test_an_incident_is_told_from_its_sentence_to_what_to_do(explorer: Shown, tab: Tab):
    tab.open(f"{explorer.url}/incident?incident={explorer.hang.id}", charts=1)

    assert explorer.hang.finding.sentence in tab.text
    assert "What to do" in tab.text
    assert "waiting for db.pool:main" in tab.cells(0)
    assert explorer.hang.victims[0].trace_id in tab.cells(0)


def test_a_request_is_told_down_to_the_line_that_blocked(explorer: Shown, tab: Tab):
    page = tab.open(address(explorer, "request", explorer.hang), charts=1)

    assert f"Trace: {explorer.hang.victims[0].trace_id}" in tab.text
    assert any("publisher.py" in line for line in marked_lines(page))


def test_ticking_a_504_opens_it_and_its_address_survives_a_reload(explorer: Shown, tab: Tab):
    wanted = explorer.hang.victims[2].trace_id
    page = tab.open(f"{explorer.url}/incident?incident={explorer.hang.id}", charts=1)

    tab.tick(0, 2)
    page.wait_for_url(f"**/request?incident={explorer.hang.id}&trace={wanted}", timeout=DRAWN_MS)
    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)
    tab.at_rest()
    page.reload(wait_until="domcontentloaded")

    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)
    assert page.url.endswith(f"trace={wanted}")


def test_choosing_a_504_from_the_list_leads_to_it(explorer: Shown, tab: Tab):
    wanted = explorer.hang.victims[3].trace_id
    page = tab.open(f"{explorer.url}/incident?incident={explorer.hang.id}", charts=1)

    # What is still being drawn further up moves the list away, and closes it.
    for _ in range(TRIES):
        page.get_by_role("combobox").click()
        with contextlib.suppress(TimeoutError):
            page.get_by_role("option").nth(3).click(timeout=OPENS_MS)
            break
        page.keyboard.press("Escape")
    tab.at_rest()
    page.get_by_role("link", name="Open this request").click()

    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)


def test_an_incident_is_a_link_of_the_list_and_back_returns_to_it(explorer: Shown, tab: Tab):
    page = tab.open(f"{explorer.url}/incidents", charts=1)

    page.locator(f"a[href*='incident={explorer.hang.id}']").click()
    page.get_by_text(explorer.hang.finding.sentence).wait_for(timeout=DRAWN_MS)
    assert page.url == f"{explorer.url}/incident?incident={explorer.hang.id}"
    tab.at_rest()
    page.go_back()

    page.get_by_role("heading", name="Incidents").wait_for(timeout=DRAWN_MS)
    assert page.url == f"{explorer.url}/incidents"


def test_a_cards_link_opens_the_incident_with_its_request(explorer: Shown, tab: Tab):
    trace = explorer.hang.victims[1].trace_id
    page = tab.open(card_link(explorer.url, explorer.hang, 1))

    page.get_by_text(explorer.hang.finding.sentence).wait_for(timeout=DRAWN_MS)
    named = f"incident={explorer.hang.id}&trace={trace}"
    assert page.url == f"{explorer.url}/incident?{named}"
    assert page.title() == "Incident · why504"
    tab.at_rest()
    assert page.get_by_role("link", name="Open this request").get_attribute("href").endswith(named)


@pytest.mark.parametrize("path", ["", "now"])
def test_the_bare_address_shows_what_is_going_on_now(explorer: Shown, tab: Tab, path: str):
    page = tab.open(f"{explorer.url}/{path}")

    page.get_by_text("as of ").first.wait_for(timeout=DRAWN_MS)
    assert page.title() == f"{common.NOW.en} · why504"


@pytest.mark.parametrize(("language", "told"), [("en-US", "en"), ("vi-VN", "vi")])
def test_the_document_says_its_language_and_the_tab_its_page(
    explorer: Shown, opened: Callable[..., Tab], language: str, told: str
):
    page = opened(language=language).open(f"{explorer.url}/incidents")

    assert page.locator("html").get_attribute("lang") == told
    name = common.INCIDENTS.vi if told == "vi" else common.INCIDENTS.en
    assert page.title() == f"{name} · why504"


def test_markup_in_telemetry_is_shown_as_text_also_in_a_tooltip(explorer: Shown, tab: Tab):
    page = tab.open(address(explorer, "request", explorer.planted), charts=1)

    chart = page.locator("[data-testid=stVegaLiteChart]").first
    box = chart.bounding_box()
    assert box is not None
    tooltip = page.locator("#vg-tooltip-element")
    for y in range(100, int(box["height"]), 6):
        chart.hover(position={"x": box["width"] / 2, "y": y})
        if tooltip.is_visible() and "planted" in tooltip.inner_text():
            break
    assert "<script>window.planted=1</script>" in tooltip.inner_text()
    assert_inert(page)


@pytest.mark.parametrize("path", PATHS)
def test_markup_in_telemetry_is_inert_on_every_page(explorer: Shown, tab: Tab, path: str):
    page = tab.open(address(explorer, path, explorer.planted))

    assert_inert(page)
    if path == "incident":
        assert '<img src=x onerror="window.planted=1">' in tab.text


def assert_inert(page: Page) -> None:
    assert page.evaluate("window.planted") is None
    assert page.locator("img[src=x], a[href*=planted], a[href^=javascript]").count() == 0
    assert "\u202e" not in page.content()


@pytest.mark.parametrize("tab", [PHONE], indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_sticks_out_on_a_phone(explorer: Shown, tab: Tab, path: str):
    tab.open(address(explorer, path, explorer.planted))

    assert 0 < tab.widest_px <= PHONE


def test_an_empty_store_says_what_to_do_and_only_this_machine_may_ask(tmp_path: Path, tab: Tab):
    store = tmp_path / "store"
    store.mkdir()
    with Explorer.start(tmp_path, store) as running:
        page = tab.open(f"{running.url}/incidents")
        page.get_by_text("make demo").wait_for(timeout=DRAWN_MS)

        assert listening_on(running.port) == {"0100007F"}
        page.close()


def listening_on(port: int) -> set[str]:
    """Return the addresses, as Linux writes them, on which somebody listens at `port`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and address.endswith(f":{port:04X}"):
                found.add(address.split(":")[0])
    return found

"""The explorer without a mouse, without motion, and with eyes that need contrast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from dashboards.draw.palette import DARK, LIGHT, Ink
from lab.tab import DRAWN_MS, Tab
from tests.integration.explorer.conftest import Shown

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_TABS = 60
FOCUSED_IS = "selector => document.activeElement.matches(selector)"
SHOWS_FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    || style.textDecorationLine.includes('underline');
}"""
LONGEST_MOTION_S = """() => Math.max(...[...document.querySelectorAll('*')].flatMap(e => {
  const style = getComputedStyle(e);
  return `${style.animationDuration}, ${style.transitionDuration}`.split(',').map(parseFloat);
}))"""


def tab_to(page: Page, selector: str) -> None:
    """Press the tab key until something that matches has the focus, and shows it."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED_IS, selector):
            assert page.evaluate(SHOWS_FOCUS)
            return
    pytest.fail(f"{MOST_TABS} times Tab do not reach {selector}")


def test_the_keyboard_alone_leads_from_the_list_to_a_request(explorer: Shown, tab: Tab):
    page = tab.open(f"{explorer.url}/incidents")
    tab_to(page, "[data-testid=stTopNavLink], header a")
    tab_to(page, f"a[href*='incident={explorer.hang.id}']")
    page.keyboard.press("Enter")
    page.get_by_text(explorer.hang.finding.sentence).wait_for(timeout=DRAWN_MS)
    tab.at_rest()

    tab_to(page, f"a[href*='request?incident={explorer.hang.id}']")
    page.keyboard.press("Enter")

    page.get_by_text(f"Trace: {explorer.hang.victims[0].trace_id}").wait_for(timeout=DRAWN_MS)


def test_nothing_moves_for_those_who_asked_for_that(explorer: Shown, tab: Tab):
    tab.page.emulate_media(reduced_motion="reduce")
    page = tab.open(f"{explorer.url}/incident?incident={explorer.hang.id}", charts=1)

    assert page.evaluate(LONGEST_MOTION_S) <= 0.001


@pytest.mark.parametrize(("theme", "ink"), [("light", LIGHT), ("dark", DARK)])
def test_charts_are_drawn_for_the_background_that_the_page_has(
    explorer: Shown, opened: Callable[..., Tab], theme: str, ink: Ink
):
    page = opened(theme=theme).open(f"{explorer.url}/incidents")

    paper = page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor")
    red, green, blue = (int(ink.paper[n : n + 2], 16) for n in (1, 3, 5))
    assert paper == f"rgb({red}, {green}, {blue})"

"""From a card to the line that blocked: what an engineer does who was just woken up."""

from __future__ import annotations

import pytest

from lab.tab import DRAWN_MS, PHONE, Tab
from tests.integration.explorer.conftest import Demo, card_link, marked_lines

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.fault,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.timeout(240),
]


MOST_STEPS = 8
ROOT = "root cause"


@pytest.mark.parametrize("tab", [PHONE], indirect=True)
def test_a_card_leads_in_two_taps_to_the_line_that_blocked(demo: Demo, tab: Tab):
    page = tab.open(card_link(demo.url, demo.incident))
    page.get_by_text(demo.incident.finding.sentence).wait_for(timeout=DRAWN_MS)
    assert f"Cause {demo.fault.trigger}:" in tab.text
    tab.at_rest()

    page.get_by_role("link", name="Open this request").click()
    page.get_by_text(f"Trace: {demo.incident.victims[0].trace_id}").wait_for(timeout=DRAWN_MS)
    tab.at_rest()

    assert any(stands_at(line, site_of(demo)) for line in marked_lines(page))
    assert tab.widest_px <= PHONE


def test_the_graph_is_walked_from_the_504s_to_the_cause_and_on_to_a_request(demo: Demo, tab: Tab):
    page = tab.open(f"{demo.url}/incident?incident={demo.incident.id}")
    node = page.locator(".st-key-graph_node")
    node.get_by_text(ROOT).wait_for(timeout=DRAWN_MS)
    assert site_of(demo) in node.inner_text()

    boxes = page.locator("[class*='st-key-graph_'] svg:visible g.mark-rect").last.locator("path")
    boxes.first.click()
    page.wait_for_url("**node=victims*", timeout=DRAWN_MS)
    tab.at_rest()
    assert ROOT not in node.inner_text()

    for _ in range(MOST_STEPS):
        node.get_by_role("button", name="On to 1").click()
        tab.at_rest()
        if ROOT in node.inner_text():
            break
    assert site_of(demo) in node.inner_text()

    node.get_by_role("link").first.click()
    page.wait_for_url("**/request?*", timeout=DRAWN_MS)
    page.get_by_text("Trace: ").first.wait_for(timeout=DRAWN_MS)
    tab.at_rest()
    assert any(stands_at(line, site_of(demo)) for line in marked_lines(page))


def site_of(demo: Demo) -> str:
    """The line at fault, as the lab knows it: `file:line`."""
    assert demo.fault.site is not None
    return demo.fault.site.resolve()


def stands_at(frame: str, site: str) -> bool:
    file, line = site.rsplit(":", 1)
    return file in frame and f"line {line}," in frame

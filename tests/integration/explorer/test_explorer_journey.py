"""From a card to the line that blocked: what an engineer does who was just woken up."""

from __future__ import annotations

import pytest

from lab.tab import DRAWN_MS, PHONE, Tab
from tests.integration.explorer.conftest import Demo, card_link

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.fault,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.timeout(240),
]


@pytest.mark.parametrize("tab", [PHONE], indirect=True)
def test_a_card_leads_in_two_taps_to_the_line_that_blocked(demo: Demo, tab: Tab):
    page = tab.open(card_link(demo.url, demo.incident))
    page.get_by_text(demo.incident.finding.sentence).wait_for(timeout=DRAWN_MS)
    assert f"Cause {demo.fault.trigger}:" in tab.text
    tab.at_rest()

    page.get_by_role("link", name="Open this request").click()
    page.get_by_text(f"Trace: {demo.incident.victims[0].trace_id}").wait_for(timeout=DRAWN_MS)
    tab.at_rest()

    assert demo.fault.site is not None
    file, line = demo.fault.site.resolve().rsplit(":", 1)
    stacks = page.locator("[class*=st-key-lines_]").all_inner_texts()
    marked = [at for stack in stacks for at in stack.split("\n") if at.lstrip().startswith("→")]
    assert any(file in at and f"line {line}," in at for at in marked)
    assert tab.widest_px <= PHONE

"""What people do on the explorer's pages, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from lab.tab import DRAWN_MS, Tab
from why504.model import Incident


@dataclass(frozen=True, slots=True)
class Scene:
    """A tab on an explorer, and two incidents of the store that it shows."""

    tab: Tab
    url: str
    first: Incident
    second: Incident

    def at(self, path: str, incident: Incident | None = None, request: int = 0) -> str:
        """Return the address of a page."""
        if incident is None:
            return f"{self.url}/{path}"
        trace = incident.victims[request].trace_id
        return f"{self.url}/{path}?incident={incident.id}&trace={trace}"


class Click(NamedTuple):
    """One thing that people do; `ready` opens the page that it is done on."""

    name: str
    ready: Callable[[Scene], object]
    act: Callable[[Scene], object]
    seen: Callable[[Scene], object]
    """Returns once what was asked for is there."""


def _reads(scene: Scene, text: str) -> None:
    scene.tab.page.get_by_text(text).first.wait_for(timeout=DRAWN_MS)


def _link(scene: Scene, part: str) -> None:
    scene.tab.page.locator(f"[data-testid=stMain] a[href*='{part}']").first.click()


def _opens_a_request(scene: Scene) -> None:
    _link(scene, f"request?incident={scene.first.id}")


def _goes_back(scene: Scene) -> None:
    scene.tab.page.go_back()


def _visited_a_request(scene: Scene) -> None:
    scene.tab.open(scene.at("incident", scene.first))
    _opens_a_request(scene)
    _reads(scene, "Trace: ")
    scene.tab.at_rest()


def _chooses_a_status(scene: Scene) -> None:
    page = scene.tab.page
    page.get_by_role("combobox", name="Status").click()
    page.get_by_role("option", name="going on").click()


def _chooses_a_box(scene: Scene) -> None:
    charts = scene.tab.page.locator("[class*='st-key-graph_'] svg:visible")
    # The last rectangles lie above all others and are what is clicked.
    charts.locator("g.mark-rect").last.locator("path").first.click()


CLICKS: Final = (
    Click(
        "another incident is chosen from the list",
        lambda scene: scene.tab.open(scene.at("incidents")),
        lambda scene: _link(scene, scene.second.id),
        lambda scene: _reads(scene, scene.second.finding.sentence),
    ),
    Click(
        "a request of an incident is opened",
        lambda scene: scene.tab.open(scene.at("incident", scene.first)),
        _opens_a_request,
        lambda scene: _reads(scene, f"Trace: {scene.first.victims[0].trace_id}"),
    ),
    Click(
        "back, from a request to its incident",
        _visited_a_request,
        _goes_back,
        lambda scene: _reads(scene, scene.first.finding.sentence),
    ),
    Click(
        "the list is filtered",
        lambda scene: scene.tab.open(scene.at("incidents")),
        _chooses_a_status,
        lambda scene: _reads(scene, "No incident matches these filters"),
    ),
    Click(
        "a box of the graph is chosen",
        lambda scene: scene.tab.open(scene.at("incident", scene.first)),
        _chooses_a_box,
        lambda scene: scene.tab.page.wait_for_url("**node=**", timeout=DRAWN_MS),
    ),
    Click(
        "from the list to what is going on now",
        lambda scene: scene.tab.open(scene.at("incidents")),
        lambda scene: scene.tab.page.get_by_role("link", name="Now", exact=True).click(),
        lambda scene: scene.tab.page.wait_for_url("**/now", timeout=DRAWN_MS),
    ),
    Click(
        "Now stops to look again every two seconds",
        lambda scene: scene.tab.open(scene.at("now")),
        lambda scene: scene.tab.page.locator(".st-key-now_paused label").click(),
        lambda scene: _reads(scene, ", paused"),
    ),
)

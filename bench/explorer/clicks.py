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
    seen: Callable[[Scene], str]
    """Return the text that is to be read afterwards."""


def _link(scene: Scene, part: str) -> None:
    scene.tab.page.locator(f"[data-testid=stMain] a[href*='{part}']").first.click()


def _opens_a_request(scene: Scene) -> None:
    _link(scene, f"request?incident={scene.first.id}")


def _goes_back(scene: Scene) -> None:
    scene.tab.page.go_back()


def _visited_a_request(scene: Scene) -> None:
    scene.tab.open(scene.at("incident", scene.first))
    _opens_a_request(scene)
    scene.tab.page.get_by_text("Trace: ").first.wait_for(timeout=DRAWN_MS)
    scene.tab.at_rest()


def _chooses_a_status(scene: Scene) -> None:
    page = scene.tab.page
    page.get_by_role("combobox", name="Status").click()
    page.get_by_role("option", name="going on").click()


CLICKS: Final = (
    Click(
        "another incident is chosen from the list",
        lambda scene: scene.tab.open(scene.at("incidents")),
        lambda scene: _link(scene, scene.second.id),
        lambda scene: scene.second.finding.sentence,
    ),
    Click(
        "a request of an incident is opened",
        lambda scene: scene.tab.open(scene.at("incident", scene.first)),
        _opens_a_request,
        lambda scene: f"Trace: {scene.first.victims[0].trace_id}",
    ),
    Click(
        "back, from a request to its incident",
        _visited_a_request,
        _goes_back,
        lambda scene: scene.first.finding.sentence,
    ),
    Click(
        "the list is filtered",
        lambda scene: scene.tab.open(scene.at("incidents")),
        _chooses_a_status,
        lambda scene: "No incident matches these filters",
    ),
    Click(
        "from the list to what is going on now",
        lambda scene: scene.tab.open(scene.at("incidents")),
        lambda scene: scene.tab.page.get_by_role("link", name="Now", exact=True).click(),
        lambda scene: "Now",
    ),
)

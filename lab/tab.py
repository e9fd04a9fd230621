"""One tab of a browser on the explorer: when it is at rest, and everything that went wrong in it.

At rest: the script has run, nothing on the page is stale or being waited for, and the document has
not changed for a while. How long that took is measured inside the page, from the navigation or the
last click or key to the last change, so that the driver's own time is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

DRAWN_MS: Final = 30_000
"""How long anything may take to appear."""
PHONE: Final = 390
DESK: Final = 1280
TALL: Final = 5000
"""Streamlit scrolls an inner element: what is to be seen has to fit."""
_QUIET_MS: Final = 250
_ROW_PX: Final = 35

_WATCH: Final = """(() => {
  const seen = window.why504 = {changed: 0, acted: 0, added: []};
  const change = changes => {
    seen.changed = performance.now();
    for (const {type, target, addedNodes} of changes) {
      for (const node of type === "characterData" ? [target] : addedNodes)
        seen.added.push([seen.changed, node]);
    }
  };
  const everything = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver(change).observe(document, everything);
  const act = () => { seen.acted = performance.now(); seen.added = []; };
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, act, true);
  window.addEventListener("popstate", act, true);
})()"""
_AT_REST: Final = """quiet => {
  const app = document.querySelector("[data-testid=stApp]");
  const waiting = "[data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]";
  const {changed, acted} = window.why504;
  return app?.dataset.testScriptState === "notRunning" && !document.querySelector(waiting)
    && changed > acted && performance.now() - changed > quiet;
}"""
_TOOK: Final = "() => window.why504.changed - window.why504.acted"
_IN_THE_WINDOW: Final = """() => {
  const {acted, added} = window.why504;
  const inside = node => {
    const box = (node.getBoundingClientRect ? node : node.parentElement)?.getBoundingClientRect();
    return box && box.height > 0 && box.top < innerHeight && box.bottom > 0;
  };
  return Math.max(acted, ...added.filter(([, node]) => inside(node)).map(([at]) => at)) - acted;
}"""
"""Where it is in the end counts: asking while it is drawn would slow it down."""
_WIDEST: Final = """() => Math.max(0, ...[...document.querySelectorAll("[data-testid=stMain] *")]
  .filter(e => !e.closest("canvas, svg, [data-testid=stDataFrame], pre"))
  .map(e => e.getBoundingClientRect().right))"""


@dataclass(slots=True)
class Tab:
    """One page in a profile of its own."""

    context: BrowserContext
    page: Page
    wrong: list[str] = field(default_factory=list)
    """What the console, the page's scripts and the network complained about."""

    @classmethod
    def opened(
        cls,
        browser: Browser,
        *,
        width: int = DESK,
        height: int = TALL,
        theme: Literal["light", "dark"] = "light",
        language: str = "en-US",
    ) -> Tab:
        """Return an empty tab of a fresh profile in Helsinki."""
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            locale=language,
            timezone_id="Europe/Helsinki",
        )
        context.add_init_script(_WATCH)
        tab = cls(context, context.new_page())
        tab._listen()
        return tab

    def _listen(self) -> None:
        def console(told: ConsoleMessage) -> None:
            if told.type == "error":
                self.wrong.append(told.text)

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda asked: self.wrong.append(f"{asked.url} failed"))

    def open(self, url: str, *, charts: int = 0) -> Page:
        """Go to an address and return the page once `charts` charts are drawn and all is at rest.

        Raises:
            playwright.sync_api.TimeoutError: that took half a minute.
        """
        self.page.goto(url, wait_until="domcontentloaded")
        if charts:
            drawn = self.page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)")
            drawn.nth(charts - 1).wait_for(timeout=DRAWN_MS)
        self.at_rest()
        return self.page

    def at_rest(self) -> float:
        """Wait until the page is at rest; return the seconds that it took since the last action.

        Raises:
            playwright.sync_api.TimeoutError: it did not come to rest within half a minute.
        """
        self.page.wait_for_function(_AT_REST, arg=_QUIET_MS, timeout=DRAWN_MS)
        took_ms: float = self.page.evaluate(_TOOK)
        return took_ms / 1e3

    @property
    def window_took_s(self) -> float:
        """Of what is in the window, when the last came, in seconds since the last action."""
        took_ms: float = self.page.evaluate(_IN_THE_WINDOW)
        return took_ms / 1e3

    @property
    def text(self) -> str:
        """What is shown below the navigation."""
        return self.page.locator("[data-testid=stMain]").inner_text()

    @property
    def widest_px(self) -> float:
        """How far right anything on the page reaches that does not scroll by itself."""
        widest: float = self.page.evaluate(_WIDEST)
        return widest

    def cells(self, table: int) -> str:
        """Return everything that a screen reader finds in one table of the page."""
        tables = self.page.locator("[data-testid=stDataFrame]")
        found = tables.nth(table).locator("td, [role=gridcell]")
        found.first.wait_for(state="attached", timeout=DRAWN_MS)
        return "\n".join(found.all_text_contents())

    def tick(self, table: int, row: int) -> None:
        """Click the box before a row, counted from 0."""
        # The table is a canvas: a row's box has a place, but no element of its own.
        grid = self.page.locator("[data-testid=stDataFrame]").nth(table)
        grid.locator("canvas").first.wait_for(timeout=DRAWN_MS)
        grid.click(position={"x": 16, "y": _ROW_PX * (row + 1) + _ROW_PX // 2})

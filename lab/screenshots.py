"""Pictures of every page of the explorer: `python -m lab.screenshots [--store FOLDER]`.

In both themes, on a desk and on a phone, of the evidence of a demo that is played for it. All go to
.run/screenshots, a handful to docs/screenshots: those that the documentation shows.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser

from lab.faults import ROOT
from lab.matrix.stored import OURS
from lab.prove.verdict import Journal
from lab.run import play
from lab.stack import chromium
from lab.stack.explorer import Explorer
from lab.tab import DESK, PHONE, TALL, Tab
from why504.diagnose import explain
from why504.errors import LabError, Why504Error
from why504.model import Incident
from why504.stores.parquet import ParquetStore

KEPT: Final = ROOT / ".run" / "screenshots"
SHOWN: Final = ROOT / "docs" / "screenshots"
SHOWN_FAULT: Final = "A2b"
"""A lock behind a pool: there is somebody to walk to in each page's drawing."""
PAGES: Final = ("now", "incidents", "incident", "request", "llm", "alerts", "doctor")
Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
WIDTHS: Final = {"": DESK, "-phone": PHONE}
IN_DOCS: Final = {
    "incident-light": 2500,
    "incident-dark-phone": 1100,
    "request-light": 1300,
    "incidents-dark": 900,
    "doctor-light": 900,
}
"""Pictures that the documentation shows -> how many pixels of them, from the top."""
MOST_BYTES: Final = 150_000
COLOURS: Final = (256, 128, 64, 32)
_LOWEST: Final = """() => Math.ceil(Math.max(...[...document.querySelectorAll(
  "[data-testid=stMain] [data-testid=stElementContainer]"
)].map(e => e.getBoundingClientRect().bottom)) + 24)"""


class Picture(NamedTuple):
    """One page as it is shown: its address, theme and width."""

    name: str
    address: str
    theme: Theme
    width: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 once every picture is made, 2 when something could not be started."""
    parser = argparse.ArgumentParser(prog="python -m lab.screenshots", description=__doc__)
    parser.add_argument("--store", type=Path, help="evidence to show, instead of a demo's")
    parser.add_argument("--fault", default=SHOWN_FAULT, help="of the demo that is played")
    given = parser.parse_args(arguments)
    say = Journal()
    try:
        folder = given.store or _played(given.fault, say)
        _draw(folder, _beside(folder), say)
    except Why504Error as error:
        say(str(error))
        return 2
    return 0


def _played(fault: str, say: Journal) -> Path:
    """Return the evidence of a demo; it is played once, and kept."""
    folder = ROOT / ".run" / f"screenshots-{fault}"
    if not (folder / OURS).is_dir():
        play(fault, folder=folder, seed=1, progress=say)
    return folder / OURS


def _beside(store: Path) -> Mapping[str, str]:
    """Return settings of what a demo has left beside its evidence."""
    ladder = store.parent / "ladder.json"
    return {"WHY504_LIMITS": str(ladder)} if ladder.is_file() else {}


def _draw(store: Path, env: Mapping[str, str], say: Journal) -> None:
    incident = _largest(store)
    KEPT.mkdir(parents=True, exist_ok=True)
    SHOWN.mkdir(parents=True, exist_ok=True)
    with chromium.running() as browser, Explorer.start(KEPT, store, env) as explorer:
        for picture in _pictures(explorer.url, incident):
            image = _taken(browser, picture)
            image.save(KEPT / f"{picture.name}.png")
            if picture.name in IN_DOCS:
                cut = image.crop((0, 0, image.width, min(image.height, IN_DOCS[picture.name])))
                (SHOWN / f"{picture.name}.png").write_bytes(small(cut))
            say(f"{picture.name}: {image.width} x {image.height}")


def _largest(store: Path) -> Incident:
    read = ParquetStore(store)
    window = read.extent()
    incidents = explain(read.sample(window)) if window else []
    if not incidents:
        raise LabError(f"no incident in {store}: nothing to show")
    return max(incidents, key=lambda incident: incident.count)


def _pictures(url: str, incident: Incident) -> Iterator[Picture]:
    named = f"incident={incident.id}&trace={incident.victims[0].trace_id}"
    for page in PAGES:
        for theme in THEMES:
            for suffix, width in WIDTHS.items():
                query = f"?{named}" if page in ("incident", "request") else ""
                yield Picture(f"{page}-{theme}{suffix}", f"{url}/{page}{query}", theme, width)


def _taken(browser: Browser, picture: Picture) -> Image.Image:
    """Return a page from its top to its last element."""
    height = TALL if picture.width == DESK else 3 * TALL
    tab = Tab.opened(browser, width=picture.width, height=height, theme=picture.theme)
    page = tab.open(picture.address)
    lowest_px: int = page.evaluate(_LOWEST)
    image = Image.open(io.BytesIO(page.screenshot()))
    tab.context.close()
    return image.crop((0, 0, image.width, min(image.height, lowest_px)))


def small(image: Image.Image) -> bytes:
    """Return a PNG of at most 150 kB, with as many colours as that allows.

    Raises:
        LabError: even with the fewest it is larger.
    """
    for colours in COLOURS:
        told = io.BytesIO()
        image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(
            told, "PNG", optimize=True
        )
        if told.tell() <= MOST_BYTES:
            return told.getvalue()
    raise LabError(f"a picture of {image.width} x {image.height} is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    sys.exit(main())

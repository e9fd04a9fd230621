"""Pictures of every page of the explorer: `python -m lab.screenshots [--store FOLDER]`.

In both themes, on a desk and on a phone: what is going on now while a service hangs, and everything
else of a demo that was played for it, with messages of a router that sends nothing. All go to
.run/screenshots, a handful to docs/screenshots: those that the documentation shows.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser

from lab.faults import ROOT
from lab.hanging import hung
from lab.matrix.stored import OURS
from lab.prove.verdict import Journal
from lab.run import play
from lab.stack import chromium
from lab.stack.explorer import Explorer
from lab.stack.ports import free_port
from lab.stack.process import Program, run, start
from lab.stack.ready import answers
from lab.tab import DESK, PHONE, Tab
from why504.diagnose import explain
from why504.errors import LabError, Why504Error
from why504.model import Incident
from why504.stores.parquet import ParquetStore

KEPT: Final = ROOT / ".run" / "screenshots"
SHOWN: Final = ROOT / "docs" / "screenshots"
SHOWN_FAULT: Final = "A2b"
"""A lock behind a pool: there is somebody to walk to in each page's drawing."""
NOW: Final = ("now",)
STORED: Final = ("incidents", "incident", "request", "llm", "alerts", "doctor")
HUNG_FAULT: Final = "B1"
LEDGER: Final = "alerts.sqlite"
Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
WIDTHS: Final = {"": DESK, "-phone": PHONE}
IN_DOCS: Final = {
    "now-light": 1300,
    "now-dark-phone": 1100,
    "incident-light": 2500,
    "incident-dark-phone": 1100,
    "request-light": 1300,
    "incidents-dark": 900,
    "doctor-light": 900,
}
"""Pictures that the documentation shows -> how many pixels of them, from the top."""
HUNG_S: Final = 8.0
"""Twice the gateway's timeout: by then there are 504s."""
ROUTED_S: Final = 5.0
MOST_BYTES: Final = 150_000
COLOURS: Final = (256, 128, 64, 32)
_HIGHEST_PX: Final = 12_000
_LENGTH: Final = "() => document.querySelector('[data-testid=stMain]').scrollHeight"


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
    KEPT.mkdir(parents=True, exist_ok=True)
    SHOWN.mkdir(parents=True, exist_ok=True)
    try:
        store = given.store or _played(given.fault, say)
        with chromium.running() as browser:
            with Explorer.start(KEPT, store, _beside(store)) as explorer:
                _draw(browser, _pictures(explorer.url, STORED, _largest(store)), say)
            if given.store is None:
                _draw_a_hang(browser, say)
    except Why504Error as error:
        say(str(error))
        return 2
    return 0


def _played(fault: str, say: Journal) -> Path:
    """Return the evidence of a demo; it is played once, and kept."""
    folder = ROOT / ".run" / f"screenshots-{fault}"
    if not (folder / OURS).is_dir():
        play(fault, folder=folder, seed=1, progress=say)
        _tell(folder)
    return folder / OURS


def _tell(folder: Path) -> None:
    """Have a router tell three alerts to nobody, and keep them in its ledger."""
    port = free_port()
    command = [sys.executable, "-m", "why504.cli", "alerts"]
    served = [*command, "serve", "--dry-run", "--port", str(port)]
    served += ["--ledger", str(folder / LEDGER), "--store", str(folder / OURS)]
    ready = answers(f"http://127.0.0.1:{port}/healthz")
    with start(Program(served, "router", folder), ready=ready):
        tested = [*command, "test", "--url", f"http://127.0.0.1:{port}"]
        run(Program(tested, "alerts-test", folder))
        time.sleep(ROUTED_S)


def _beside(store: Path) -> Mapping[str, str]:
    """Return settings of what a demo has left beside its evidence."""
    files = {"WHY504_LIMITS": "ladder.json", "WHY504_ALERTS_LEDGER": LEDGER}
    beside = {name: store.parent / file for name, file in files.items()}
    # As seen from where the explorer runs: pages show it, and nobody else has these folders.
    return {name: relpath(file, KEPT) for name, file in beside.items() if file.is_file()}


def _draw_a_hang(browser: Browser, say: Journal) -> None:
    """Draw what is going on now while a service hangs."""
    say(f"a service with {HUNG_FAULT}, until it hangs")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with hung(HUNG_FAULT, folder / "run") as store, Explorer.start(KEPT, store) as explorer:
            time.sleep(HUNG_S)
            _draw(browser, _pictures(explorer.url, NOW), say)


def _draw(browser: Browser, pictures: Iterable[Picture], say: Journal) -> None:
    for picture in pictures:
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


def _pictures(
    url: str, pages: Iterable[str], incident: Incident | None = None
) -> Iterator[Picture]:
    named = ""
    if incident is not None:
        named = f"?incident={incident.id}&trace={incident.victims[0].trace_id}"
    for page in pages:
        for theme in THEMES:
            for suffix, width in WIDTHS.items():
                query = named if page in ("incident", "request") else ""
                yield Picture(f"{page}-{theme}{suffix}", f"{url}/{page}{query}", theme, width)


def _taken(browser: Browser, picture: Picture) -> Image.Image:
    """Return a page from its top to its end."""
    tab = Tab.opened(browser, width=picture.width, height=400, theme=picture.theme)
    page = tab.open(picture.address)
    # Streamlit scrolls an inner element: the window has to be as high as what is in it.
    length_px = min(page.evaluate(_LENGTH), _HIGHEST_PX)
    page.set_viewport_size({"width": picture.width, "height": length_px})
    tab.at_rest()
    image = Image.open(io.BytesIO(page.screenshot()))
    tab.context.close()
    return image


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

"""Pictures of the page for the documents, of a simulated hour: ``python -m tests.console.screenshots [DIR]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from aiops.demo import KINDS
from aiops.recording import Recording
from aiops.simulate import Simulation, write
from streams.history import incident_queries
from streams.history.incident_queries import Filter
from tests.console.conftest import ARGUMENTS
from tests.console.serving import Running, console

DIRECTORY = Path("docs/images")
WIDE: Any = {"width": 1200, "height": 820}
NARROW: Any = {"width": 360, "height": 740}
QUALITY = 60


def main() -> int:
    """Write the pictures."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "day").mkdir()
        simulated = Simulation(3, 1.5, KINDS, rate=4.0, warmup_s=1500.0, spacing_s=900.0, change_spacing_s=600.0)
        write(simulated, folder / "day")
        with console(Recording(folder / "day"), folder) as running, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
            name = _worst(running)
            shots: Any = (
                ("console-list.jpg", "#/", WIDE, "light"),
                ("console-incident.jpg", f"#/incident/{name}", WIDE, "light"),
                ("console-incident-dark.jpg", f"#/incident/{name}", WIDE, "dark"),
                ("console-narrow.jpg", f"#/incident/{name}", NARROW, "dark"),
            )
            for file, where, size, theme in shots:
                page = browser.new_page(viewport=size, color_scheme=theme)
                page.goto(running.url())
                page.wait_for_selector(".incidents a")
                page.evaluate(f"location.hash = '{where}'")
                page.wait_for_selector(".incidents a" if where == "#/" else "[data-section=plots] canvas")
                page.wait_for_timeout(900)
                whole = size == WIDE and where != "#/" and theme == "light"
                page.screenshot(path=out / file, full_page=whole, type="jpeg", quality=QUALITY)
                page.close()
            browser.close()
    return 0


def _worst(running: Running) -> str:
    with running.store.reading() as connection:
        items, _ = incident_queries.page(connection, Filter(), 50)
        found = [incident_queries.one(connection, item.incident_id) for item in items]
    known = [incident for incident in found if incident is not None]
    return max(known, key=lambda i: (not i.no_confident_cause, len(i.services), i.incident_id)).incident_id


if __name__ == "__main__":
    sys.exit(main())

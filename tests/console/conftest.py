"""A browser for the tests of the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]  # as root, and where /dev/shm is small


def missing(reason: str) -> NoReturn:
    """Skip, or fail where all tools are required."""
    if os.environ.get("AIOPS_REQUIRE_TOOLS") == "1":
        pytest.fail(f"AIOPS_REQUIRE_TOOLS is 1, and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser."""
    program = shutil.which("chromium")
    if program is None:
        missing("chromium is not installed: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("playwright is not installed: pip install -e '.[test-kafka]'")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()

"""The files of the page: complete, with their licences, and asking nobody else for anything."""

from __future__ import annotations

import re

import pytest

from streams.console import files
from streams.console.files import FILES, FOLDER

OURS = sorted(name for name in FILES if not name.startswith("vendor/"))
SCRIPTS = [name for name in OURS if name.endswith(".js")]


def text(name):
    return FILES[name].content.decode()


def test_every_file_of_the_folder_is_served():
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()} == set(FILES)
    assert files.PAGE in FILES


@pytest.mark.parametrize("name", OURS)
def test_nothing_is_asked_of_another_host(name):
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text(name))) - {"http://www.w3.org/2000/svg"}
    assert not addresses


def test_the_page_has_no_script_or_style_inside_and_names_files_that_are_there():
    page = text(files.PAGE)
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son\w+=|\sstyle=", page)
    for name in re.findall(r"(?:src|href)=\"([^#\"]+)\"", page):
        assert name in FILES


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_never_makes_html_of_a_text(name):
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text(name)
    )
    for other in re.findall(r"from \"\./([^\"]+)\"", text(name)):
        assert other in FILES


def test_libraries_of_others_come_with_their_licences():
    vendored = {name for name in FILES if name.startswith("vendor/")}
    assert vendored == {
        "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css", "vendor/uPlot.LICENSE.txt", "vendor/cytoscape.min.js",
        "vendor/cytoscape.LICENSE.txt",
    }  # fmt: skip
    for name in ("vendor/uPlot.LICENSE.txt", "vendor/cytoscape.LICENSE.txt"):
        assert "Permission is hereby granted, free of charge" in text(name)

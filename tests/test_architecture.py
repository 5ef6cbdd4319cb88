"""What holds for the whole project and no single module can promise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = sorted((ROOT / "aiops").rglob("*.py"))
PACKAGES = sorted({path.parent for top in ("aiops", "streams") for path in (ROOT / top).rglob("*.py")})

BROKER_LIBRARIES = {"aiokafka", "confluent_kafka", "faust", "kafka", "mode", "streams"}
NO_CLOCK_NO_CHANCE = {"random", "secrets", "uuid"}
LONGEST_MODULE = 400
# Where the import has another name.
PACKAGE_OF = {"celpy": "cel-python", "google": "protobuf", "opentelemetry": "opentelemetry-proto"}

# Paths of one machine; spelled in halves so that this file may be searched too.
FORBIDDEN = ("../" + "shared", "." + "library/", "/wo" + "rk/")  # not the word alone: librdkafka has a setting of it


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the packages that a module imports, wherever in the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def project_files() -> list[Path]:
    """Tracked files and those that a commit of everything would add; all files where there is no git."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        hidden = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
        return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)]
    return [path for name in names if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_the_engine_does_not_know_kafka(path):
    assert not BROKER_LIBRARIES & set(imports(path)), "aiops/ runs embedded; what needs a broker belongs in streams/"


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_the_engine_imports_no_source_of_chance(path):
    assert not NO_CLOCK_NO_CHANCE & set(imports(path)), "the same telemetry must give the same incidents"


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_what_the_engine_imports_is_installed_with_it(path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["river"]
    declared = {re.split(r"[^\w-]", requirement)[0] for requirement in wanted}
    used = {PACKAGE_OF.get(name, name) for name in imports(path)} - sys.stdlib_module_names - {"aiops"}
    assert used <= declared, "pyproject.toml does not ask for it"


@pytest.mark.parametrize("path", ENGINE + sorted((ROOT / "streams").rglob("*.py")), ids=name_of)
def test_a_module_is_short_enough_to_be_about_one_thing(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_MODULE, f"{name_of(path)} has {lines} lines: split it where its subject changes"


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_package_says_what_it_is_for(package):
    path = package / "__init__.py"
    assert path.is_file(), f"{name_of(package)} has no __init__.py"
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"


def test_no_file_names_a_place_outside_the_project():
    found = []
    for path in project_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name_of(path)}: {word}" for word in FORBIDDEN if word in text]
    assert not found


def test_the_searched_files_are_the_projects():
    names = {name_of(path) for path in project_files()}
    assert {"README.md", "pyproject.toml", "aiops/records.py"} <= names

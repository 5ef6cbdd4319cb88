"""The documents name things that exist: links, headings, commands, options, modules, names of the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from aiops.cli import SIMULATE, _parser
from streams.cli import COMMANDS as ON_KAFKA

ROOT = Path(__file__).resolve().parents[1]
HIDDEN = {".git", ".venv", ".hypothesis", ".pytest_cache", "node_modules"}
DOCUMENTS = sorted(p for p in ROOT.rglob("*.md") if not HIDDEN & set(p.relative_to(ROOT).parts))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"`(?:\S*/)?aiops ([a-z]+)\b")
MODULE = re.compile(r"(?:aiops|streams|tests|benchmarks|docs|deploy)/[\w./-]+")
DOTTED = re.compile(r"aiops(?:\.[A-Za-z_]\w*)+")
COMMANDS = {"demo", "replay", "simulate", "score", "decode"} | {command.name for command in ON_KAFKA}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(dotted: str) -> bool:
    """Is it a package, a module, or a name that a module's text defines?"""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:n])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.is_file():
            return all(re.search(rf"\b{re.escape(rest)}\b", file.read_text()) for rest in parts[n:])
    return False


def test_the_documents_are_found():
    assert {"README.md", "docs/architecture.md", "docs/decisions/README.md"} <= set(map(name_of, DOCUMENTS))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_relative_link_resolves(path):
    broken = []
    for target in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_every_command_of_the_documents_exists_and_every_command_is_in_the_readme():
    mentioned = {(name_of(path), word) for path in DOCUMENTS for word in COMMAND.findall(path.read_text())}
    assert not {(where, word) for where, word in mentioned if word not in COMMANDS}
    assert {word for where, word in mentioned if where == "README.md"} >= COMMANDS
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            _parser([SIMULATE, *ON_KAFKA], [command]).parse_args([command, "--help"])
        assert ended.value.code == 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_path_and_module_in_backticks_exists(path):
    missing = []
    for code in CODE.findall(prose(path)):
        for word in code.split():
            if MODULE.fullmatch(word) and not (ROOT / word).exists():
                missing.append(word)
            if DOTTED.fullmatch(word) and not exists(word):
                missing.append(word)
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_constant_in_backticks_is_in_the_code(path):
    code = "\n".join(file.read_text() for top in ("aiops", "tests") for file in (ROOT / top).rglob("*.py"))
    code += "\n".join((ROOT / name).read_text() for name in ("Makefile", ".ci/run", "pyproject.toml"))
    named = {
        word for text in CODE.findall(prose(path)) for word in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text)
    }
    known = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", code))
    assert not named - known


def test_the_test_command_is_still_between_its_markers():
    said = subprocess.run([ROOT / ".ci" / "test-command"], check=True, capture_output=True, text=True).stdout
    assert ".venv/bin/pytest" in said
    assert said.count("\n") == 1

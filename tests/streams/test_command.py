"""``aiops command``: words of a person into the record that the engine reads."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from aiops.records import Command, CommandName, decode_command
from streams.cli import main

SAID: list[tuple[str, dict[str, str]]] = [
    ("acknowledge c", {}),
    ("assign c --assignee bob --team shop", {"assignee": "bob", "team": "shop"}),
    ("comment c disk", {"text": "disk"}),
    ("label c team=shop old=", {"team": "shop", "old": ""}),
    ("resolve c --resolution restarted", {"resolution": "restarted"}),
    ("reopen c", {}),
    ("silence c --until 1700000000", {"until": "2023-11-14T22:13:20.000Z"}),
    ("silence --cause-kind code --for 90s --reason known", {
        "cause_kind": "code", "until": "1970-01-01T00:01:37.000Z", "reason": "known",
    }),
    ("maintenance a,b --from 100 --for 1min", {
        "services": "a,b", "from": "1970-01-01T00:01:40.000Z", "until": "1970-01-01T00:02:40.000Z",
    }),
    ("merge c --into d", {"into": "d"}),
    ("split c --services a,b", {"services": "a,b"}),
    ("confirm c cart --kind code", {"service": "cart", "kind": "code"}),
    ("reject c cart", {"service": "cart"}),
    ("feedback c new_trend --text rollout", {"verdict": "new_trend", "text": "rollout"}),
]  # fmt: skip


def written(tmp_path, *words: str) -> Command:
    file = tmp_path / "commands.jsonl"
    assert main(["command", *words, "--author", "ann", "--file", str(file)]) == 0
    return decode_command(file.read_bytes().splitlines()[-1])


@pytest.mark.parametrize(("words", "arguments"), SAID, ids=[words for words, _ in SAID])
def test_each_command_becomes_a_line_of_the_file(tmp_path, words, arguments):
    command = written(tmp_path, *words.split(), "--time", "7", "--environment", "prod")
    assert (command.command, command.author, command.environment) == (words.split()[0], "ann", "prod")
    assert command.incident_id == ("c" if " c" in words and "--cause-kind" not in words else "")
    assert (command.time, command.arguments) == ("1970-01-01T00:00:07.000Z", arguments)


def test_every_command_of_the_record_can_be_said():
    assert {words.split()[0] for words, _ in SAID} == set(get_args(CommandName))


def test_lines_are_appended_and_said_now_unless_told_otherwise(tmp_path):
    written(tmp_path, "reopen", "a")
    assert written(tmp_path, "reopen", "b").time > "2024"
    assert (tmp_path / "commands.jsonl").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("dance c", "invalid choice: 'dance'"),
        ("acknowledge", "the following arguments are required: INCIDENT"),
        ("assign c", "--assignee or --team says to whom"),
        ("label c team", "'team' is not NAME=VALUE"),
        ("silence --for 2h", "says what is silenced"),
        ("silence --service a --for 2", "'2' is no duration"),
        ("silence --service a", "one of the arguments --until --for is required"),
        ("feedback c good", "invalid choice: 'good'"),
        ("confirm c cart --kind bug", "invalid choice: 'bug'"),
        ("acknowledge c --environment=", "environment is empty"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(tmp_path, capsys, words, said):
    status: Any
    try:
        status = main(["command", *words.split(), "--author", "ann", "--file", str(tmp_path / "f")])
    except SystemExit as left:
        status = left.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "f").exists()


def test_a_command_needs_an_author_and_a_place_to_go(capsys):
    for words in (["reopen", "c", "--file", "f"], ["reopen", "c", "--author", "ann"]):
        with pytest.raises(SystemExit):
            main(["command", *words])
    assert "--author" in capsys.readouterr().err

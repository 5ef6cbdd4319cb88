"""``aiops console`` as a person starts it: where it is, who may come, what is wrong with what it was given."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from aiops.simulate import Simulation, write
from streams.api.tokens import Tokens
from streams.cli import main
from streams.settings import load


def get(address, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=10) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    write(Simulation(1, 0.1, [], rate=1.0), folder)
    return folder


def test_it_says_where_it_is_lets_in_who_has_the_token_and_ends_when_told(short):
    command = [sys.executable, "-m", "streams.cli", "console", str(short), "--http", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = iter(process.stderr.readline, "")
        said = next(line for line in lines if line.startswith("console at"))
        found = re.fullmatch(r"console at (http://127\.0\.0\.1:\d+)/#token=(aiops_\S+)\n", said)
        assert found is not None
        address, token = found.groups()
        assert get(address, "/healthz") == b"ok\n"
        assert b"aiops" in get(address, "/")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(address, "/api/v1/incidents")
        assert json.loads(get(address, "/api/v1/me", token)) == {"name": "you", "role": "operator"}
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130, -signal.SIGINT)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_new_token_is_printed_with_what_to_write_and_counts_then(capsys, tmp_path):
    assert main(["console", "--new-token", 'the "wall"', "--role", "operator"]) == 0
    said = capsys.readouterr().out
    (token,) = re.findall(r"aiops_\S+", said)
    path = tmp_path / "aiops.yaml"
    path.write_text('kafka: {bootstrap.servers: "x:1"}\n' + said.split("for the configuration:\n")[1])
    caller = Tokens(load(path).console.tokens).caller(f"Bearer {token}")
    assert caller is not None
    assert (caller.name, caller.role) == ('the "wall"', "operator")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{folder}/nowhere"], "is no directory"),
        (["{short}", "--history", "sqlite:////no/such/folder/x.db"], "is no directory"),
        (["{short}", "--history", "mysql://x:topsecret@h/d"], "history: "),
        (["{short}", "--http", "127.0.0.1"], "not HOST:PORT"),
        (["{short}", "--http", "203.0.113.1:80"], "--http HOST:PORT names another"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_line(arguments, why, short, tmp_path, capsys):
    assert main(["console", *(text.format(short=short, folder=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "Traceback" not in said
    assert "topsecret" not in said


def test_it_takes_one_of_a_folder_and_a_configuration(capsys):
    with pytest.raises(SystemExit):
        main(["console"])
    assert "DIR" in capsys.readouterr().err

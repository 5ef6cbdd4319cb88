"""The command line: what a person types wrong, pipes, and interruptions."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aiops
from aiops.simulate import Simulation, write
from streams.cli import main

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("day")
    write(Simulation(3, 0.2, None, rate=1.0, wrong_clock=False), folder)
    return folder


def started(*arguments, **options):
    """The command in a process of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "streams.cli", *map(str, arguments)], cwd=ROOT, **options)


def failure(capsys, *arguments):
    """The one line on stderr of a command that fails with status 2 and writes nothing else."""
    status: object
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as left:  # argparse leaves so
        status = left.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("aiops")
    return err.rstrip("\n")


# ---- arguments -------------------------------------------------------------------------------------------------------
def test_help_names_every_command_and_is_quick():
    begun = time.monotonic()
    out = started("--help").communicate()[0].decode()
    assert all(f"    {command} " in out for command in ("demo", "replay", "simulate", "score", "decode"))
    script = """
import sys
import streams.cli
from aiops.cli import _parser
_parser(streams.cli.COMMANDS, [])
print(sorted(sys.modules))
"""
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "numba", "rich", "confluent_kafka", "faust", "yaml"} & set(loaded.split("'"))
    assert time.monotonic() - begun < 5.0


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"aiops {aiops.__version__}\n"


@pytest.mark.parametrize("command", ["demo", "replay", "simulate", "score", "decode"])
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: aiops {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["reply"], "invalid choice: 'reply'"),
        (["replay"], "the following arguments are required: DIR"),
        (["replay", "d", "--speed", "0"], "argument --speed: '0' is not a number above 0"),
        (["replay", "d", "--speed", "nan"], "argument --speed: 'nan' is not a number above 0"),
        (["replay", "d", "--batch", "1.5"], "argument --batch: '1.5' is not a whole number above 0"),
        (["replay", "d", "--from", "noon"], "argument --from: 'noon' is no RFC 3339 time"),
        (["replay", "d", "--until", "-1"], "argument --until: -1 is outside 1970-01-01"),
        (["replay", "d", "--until", "Infinity"], "argument --until: Infinity is outside 1970-01-01"),
        (["replay", "d", "--from", "20", "--until", "1970-01-01T00:00:20Z"], "--from is not before --until"),
        (["replay", "no/such/folder"], "no/such/folder is no directory"),
        (["demo", "--minutes", "5"], "--minutes 5 leaves no room for a fault: at least 60"),
        (["demo", "--rate", "1e9"], "rate is 1000000000.0: it must be"),
        (["demo", "--seed", "-3"], "argument --seed: '-3' is not a whole number"),
        (["simulate"], "the following arguments are required: --out"),
        (["score", "no/such/folder", "x"], "no/such/folder/truth.json: No such file or directory"),
        (["decode", "no/such/file"], "no/such/file is no file"),
        (["decode", "--signal", "spans", "f"], "argument --signal: invalid choice: 'spans'"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_named_in_one_line(capsys, arguments, said):
    assert said in failure(capsys, *arguments)


def test_unix_seconds_and_rfc3339_name_the_same_time(capsys, day):
    for begin in ("4000000000", "4000000000.000", "2096-10-02T07:06:40Z", "2096-10-02T09:06:40+02:00"):
        assert "from 2096-10-02T07:06:40.000Z" in failure(capsys, "replay", day, "--from", begin, "--out", os.devnull)


# ---- replay ----------------------------------------------------------------------------------------------------------
def test_replay_writes_incidents_and_a_summary_apart(capsysbinary, day, tmp_path):
    assert main(["replay", str(day), "--findings", str(tmp_path / "f")]) == 0
    out, err = capsysbinary.readouterr()
    assert all(json.loads(line)["incident_id"] for line in out.splitlines())
    words = err.decode().split()
    assert {"metrics/0", "traces/0", "logs/0", "items", "refused", "late", "repeats", "CPU,"} <= set(words)
    assert b"\x1b" not in err  # no progress bar where there is no terminal
    assert (tmp_path / "f").read_bytes().count(b"\n") > 10


def test_a_damaged_file_ends_the_replay_with_its_name(capsys, tmp_path):
    (tmp_path / "logs.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-12])
    assert f"{tmp_path}/logs.jsonl.gz is no readable gzip file" in failure(capsys, "replay", tmp_path)


def test_a_file_that_cannot_be_written_is_named(capsys, day, tmp_path):
    assert f"{tmp_path}/no/out: No such file" in failure(capsys, "replay", day, "--out", tmp_path / "no" / "out")


def test_two_outputs_in_one_file_are_refused(capsys, day, tmp_path):
    path = tmp_path / "x"
    assert f"--notices {path} is also --out" in failure(capsys, "replay", day, "--out", path, "--notices", path)


def test_what_is_read_is_not_written_over(capsys, day):
    before = (day / "logs.jsonl.gz").read_bytes()
    said = failure(capsys, "replay", day, "--out", day / "logs.jsonl.gz")
    assert "is also the recording's logs.jsonl.gz" in said
    assert (day / "logs.jsonl.gz").read_bytes() == before


def test_interrupted_it_ends_quietly_with_status_130(day):
    process = started("replay", day, "--speed", "60", "--findings", "/dev/stderr", "--out", os.devnull)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b'{"tenant"')  # it is well under way
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err


@pytest.mark.parametrize("command", ["replay", "decode"])
def test_a_reader_that_goes_away_ends_it_quietly(day, command):
    read, written = os.pipe()
    os.close(read)
    arguments = [day, "--findings", "/dev/stdout"] if command == "replay" else [day / "logs.jsonl.gz"]
    process = started(command, *arguments, stdout=written)
    os.close(written)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert b"Traceback" not in err
    assert b"Broken" not in err


# ---- decode and score ------------------------------------------------------------------------------------------------
def test_decode_prints_an_item_a_line(capsysbinary, day):
    assert main(["decode", str(day / "logs.jsonl.gz")]) == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert len(lines) == gzip.decompress((day / "logs.jsonl.gz").read_bytes()).count(b'"severityNumber":')
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_decode_says_what_it_refused_and_ends_with_status_1(capsysbinary, tmp_path):
    (tmp_path / "logs.jsonl").write_bytes(b'{"resourceLogs": [\n{"resourceLogs": []}\n')
    assert main(["decode", "--signal", "logs", str(tmp_path / "logs.jsonl")]) == 1
    assert "error" in json.loads(capsysbinary.readouterr().out)


def test_score_of_a_simulated_day(capsys, day, tmp_path):
    (tmp_path / "none.jsonl").touch()
    assert main(["score", str(day), str(tmp_path / "none.jsonl")]) == 0
    assert capsys.readouterr().out.startswith("faults 0  incidents 0  false 0 = 0.000/h over 0.20 h")


def test_score_names_the_line_that_is_no_incident(capsys, day, tmp_path):
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert f"{tmp_path}/x.jsonl: line 1: incident: " in failure(capsys, "score", day, tmp_path / "x.jsonl")

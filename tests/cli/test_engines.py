"""The engines of the local stack, from their wheels: ready, kept, and never left behind."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis

from services.cli.stack.database import EngineError
from services.cli.stack.engines import postgres, postgres_engine, running, valkey
from services.cli.stack.folders import socket_folder

ROOT = Path(__file__).parents[2]


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def broker(url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))


@contextmanager
def owner(engine: str, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str, list[psutil.Process]]]:
    """Another process that runs the engine, its URL and the engine's processes."""
    code = f"""
import signal, sys
from pathlib import Path
from services.cli.stack.engines import {engine}
with {engine}(Path(sys.argv[1])) as url:
    print(url, flush=True)
    signal.pause()
"""
    argv = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            yield process, url, psutil.Process(process.pid).children(recursive=True)
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(socket_folder(folder), ignore_errors=True)


def test_postgres_yields_an_empty_database_and_keeps_what_is_written(tmp_path: Path) -> None:
    with postgres(tmp_path / "pg") as url:
        assert query(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
        assert query(url, "SHOW fsync") == [("on",)]
        query(url, "CREATE TABLE kept AS SELECT uuidv7() AS id")
    with postgres(tmp_path / "pg", durable=False) as url:
        assert query(url, "SELECT count(*) FROM kept") == [(1,)]
        assert query(url, "SHOW fsync") == [("off",)]


def test_valkey_yields_a_broker_and_keeps_what_is_written(tmp_path: Path) -> None:
    with valkey(tmp_path / "vk") as url:
        broker(url).set("kept", "1")
        assert broker(url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with valkey(tmp_path / "vk") as url:
        assert broker(url).get("kept") == b"1"


def test_engines_leave_no_socket_folder_behind(tmp_path: Path) -> None:
    with valkey(tmp_path / "vk") as url:
        folder = Path(url.removeprefix("redis+socket://")).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


@pytest.mark.parametrize("engine", ["postgres", "valkey"])
def test_an_engine_dies_with_an_owner_that_is_killed(engine: str, tmp_path: Path) -> None:
    with owner(engine, tmp_path / "data") as (process, _, members):
        assert members
        process.kill()
        _, alive = psutil.wait_procs(members, timeout=20)
    assert alive == []


def test_postgres_starts_over_the_leftovers_of_a_killed_one_however_torn(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with owner("postgres", folder) as (process, url, members):
        query(url, "CREATE TABLE kept (id int)")
        postmaster = next(member for member in members if member.ppid() == process.pid)
        postmaster.send_signal(signal.SIGKILL)
        process.kill()
        process.wait()
        psutil.wait_procs(members, timeout=20)
    sockets = socket_folder(folder)
    (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/elsew")  # alive, not a server, cut short
    (sockets / ".s.PGSQL.5432.lock").write_text("")
    with postgres(folder) as url:
        assert query(url, "SELECT count(*) FROM kept") == [(0,)]


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "pg" / "new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with postgres(tmp_path / "pg", durable=False) as url:
        assert query(url, "SELECT 1") == [(1,)]


def test_a_second_server_on_one_folder_is_refused_while_the_first_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.stack.engines._LOCK_TIMEOUT_S", 0.1)
    with valkey(tmp_path / "vk"), pytest.raises(EngineError, match="Another valkey runs"), valkey(tmp_path / "vk"):
        pass


def test_an_engine_that_cannot_start_says_what_it_said(tmp_path: Path) -> None:
    with postgres(tmp_path / "pg", durable=False):
        pass
    (tmp_path / "pg" / "data" / "postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(EngineError, match="nonsense"), running(postgres_engine(tmp_path / "pg")):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_as_root_a_private_parent_folder_stays_private(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with postgres(private / "pg", durable=False) as url:
        assert query(url, "SELECT 1") == [(1,)]
        servers = [child for child in psutil.Process().children() if child.name() == "postgres"]
        assert all(server.uids().real != 0 for server in servers)
    assert private.stat().st_mode & 0o777 == 0o700
    assert private.stat().st_uid == 0

"""The real database servers, and the databases that tests get on them."""

import calendar
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from tests.servers import child_pytest, missing
from tests.servers.database import DatabaseServer
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError, still_alive

BOTH = pytest.mark.parametrize("fixture", ["postgres_server", "mariadb_server"])


@pytest.fixture
def server(request: pytest.FixtureRequest, fixture: str) -> DatabaseServer:
    """The running server that the parameter names."""
    found: DatabaseServer = request.getfixturevalue(fixture)
    return found


def engine_for(url: str) -> sqlalchemy.Engine:
    """An engine that keeps no connection open."""
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)


@pytest.mark.parametrize("again", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, again: int) -> None:
    engine = engine_for(database_url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE vm (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO vm VALUES (:again)"), {"again": again})


RECORDS = {
    "conftest.py": """
from tests.conftest import *
class Recorder:
    def create_database(self, name):
        print("<created", name)
        return "url://" + name
    def drop_database(self, name):
        print("<dropped", name)
@pytest.fixture(scope="session")
def postgres_server(): return Recorder()
""",
    "test_it.py": """
import pytest
@pytest.mark.parametrize("again", [1, 2])
def test_it(database_url, again):
    assert database_url.startswith("url://")
    raise RuntimeError("also after a failed test")
""",
}


def test_each_database_has_its_own_name_and_is_dropped(tmp_path: Path) -> None:
    _, output = child_pytest.run(tmp_path, "-s", "-kpostgresql", files=RECORDS)
    events = re.findall(r"<(created|dropped) (\w+)", output)
    assert [what for what, _ in events] == ["created", "dropped"] * 2, output
    assert len({name for _, name in events}) == 2


@pytest.mark.server
@BOTH
class TestDatabases:
    def test_two_databases_are_separate(self, server: DatabaseServer) -> None:
        first, second = (engine_for(server.create_database(f"separate_{i}")) for i in (1, 2))
        with first.begin() as connection:
            connection.execute(text("CREATE TABLE vm (id INTEGER PRIMARY KEY)"))
        assert sqlalchemy.inspect(first).get_table_names() == ["vm"]
        assert sqlalchemy.inspect(second).get_table_names() == []

    def test_transactions_are_real(self, server: DatabaseServer) -> None:
        engine = engine_for(server.create_database("transactions"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE vm (id INTEGER PRIMARY KEY)"))
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO vm VALUES (1)"))
            connection.rollback()
            assert connection.execute(text("SELECT count(*) FROM vm")).scalar() == 0

    def test_names_and_contents_may_be_in_any_script(self, server: DatabaseServer) -> None:
        engine = engine_for(server.create_database("scripts"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE vm (name VARCHAR(20))"))
            connection.execute(text("INSERT INTO vm VALUES (:name)"), {"name": "Łódź 🚀"})
            assert connection.execute(text("SELECT name FROM vm")).scalar() == "Łódź 🚀"

    def test_a_database_still_in_use_can_be_dropped(self, server: DatabaseServer) -> None:
        engine = engine_for(server.create_database("in_use"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE vm (id INTEGER PRIMARY KEY)"))
        user = engine.connect()
        user.execute(text("SELECT * FROM vm"))  # holds a lock until its transaction ends
        server.drop_database("in_use")
        with pytest.raises(sqlalchemy.exc.OperationalError):
            user.execute(text("SELECT * FROM vm"))
        user.invalidate()
        user.close()
        server.create_database("in_use")  # the name is free again

    def test_the_clock_is_not_ours(self, server: DatabaseServer) -> None:
        with engine_for(server.url()).connect() as connection:
            local = connection.execute(text("SELECT CAST(CURRENT_TIMESTAMP AS CHAR(16))")).scalar()
        ahead = calendar.timegm(time.strptime(str(local), "%Y-%m-%d %H:%M")) - time.time()
        assert 5.6 * 3600 < ahead < 5.8 * 3600

    @pytest.mark.parametrize("name", ["Upper", "a b", "a;drop", "", "1st"])
    def test_only_plain_names(self, server: DatabaseServer, name: str) -> None:
        with pytest.raises(ValueError, match="not a plain database name"):
            server.create_database(name)


class BrokenPostgres(PostgresServer):
    """Refuses to start."""

    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        fill, serve = super().commands()
        return fill, [*serve, "-c", "no_such_setting=1"]


class BrokenMariaDB(MariaDBServer):
    """Refuses to start."""

    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        fill, serve = super().commands()
        return fill, [*serve, "--no-such-setting=1"]


def available(kind: type[DatabaseServer]) -> None:
    """Skip (under CI fail) where the server isn't installed."""
    if reason := kind.unavailable():
        missing(reason)


@pytest.mark.server
@pytest.mark.parametrize("kind", [PostgresServer, MariaDBServer])
def test_stop_leaves_no_process_and_no_data(kind: type[DatabaseServer], tmp_path: Path) -> None:
    available(kind)
    with kind(tmp_path) as server:
        family = server.process.family()
        assert len(family) >= 2
        assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0  # not root
        assert server.directory.stat().st_mode & 0o077 == 0  # nobody else's business
        client = engine_for(server.url()).connect()  # mustn't hold up the stop
    assert still_alive(family, seconds=0) == []
    assert server.process.returncode == 0  # in order, not killed
    assert not server.directory.exists()
    assert server.log.exists()
    client.invalidate()


@pytest.mark.server
@pytest.mark.parametrize("kind", [PostgresServer, MariaDBServer])
def test_one_that_broke_off_goes_on_with_its_data(kind: type[DatabaseServer], tmp_path: Path) -> None:
    available(kind)
    with kind(tmp_path) as server:
        engine = engine_for(server.create_database("kept"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE vm (id INTEGER PRIMARY KEY)"))
        server.break_off()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            engine.connect()
        server.go_on()
        assert sqlalchemy.inspect(engine).get_table_names() == ["vm"]
        family = server.process.family()
    assert still_alive(family, seconds=0) == []
    assert not server.directory.exists()


@pytest.mark.server
@pytest.mark.parametrize("kind", [BrokenPostgres, BrokenMariaDB])
def test_a_failed_start_shows_the_log_and_leaves_nothing(kind: type[DatabaseServer], tmp_path: Path) -> None:
    available(kind)
    server = kind(tmp_path)
    with pytest.raises(ServerError, match=r"(?s)ended with exit code .*no.such.setting"):
        server.start()
    assert server.process.family() == []
    assert not server.directory.exists()


VICTIM = (
    child_pytest.TELL
    + """
def test_hangs(postgres_server, mariadb_server):
    servers = [postgres_server, mariadb_server]
    tell({
        "pids": [pid for server in servers for pid in server.process.family()],
        "directories": [str(server.directory) for server in servers],
    })
"""
)


@pytest.mark.server
def test_kill_9_of_pytest_leaves_no_server_and_no_data(tmp_path: Path) -> None:
    available(PostgresServer)
    available(MariaDBServer)
    facts = child_pytest.facts_of_killed(tmp_path, files={"test_victim.py": VICTIM})
    assert len(facts["pids"]) >= 4
    assert still_alive(facts["pids"], seconds=60) == []
    assert [path for path in facts["directories"] if Path(path).exists()] == []


NO_SERVERS = {
    "conftest.py": """
from tests.conftest import *
@pytest.fixture(scope="session")
def postgres_server(): pytest.fail("started")
@pytest.fixture(scope="session")
def mariadb_server(): pytest.fail("started")
""",
    "test_it.py": "def test_it(database_url): assert database_url",
}


@pytest.mark.parametrize("selection", ["-ksqlite", "-mnot server"])
def test_who_uses_only_sqlite_starts_no_server(selection: str, tmp_path: Path) -> None:
    code, output = child_pytest.run(tmp_path, selection, files=NO_SERVERS)
    assert code == 0, output
    assert "1 passed, 2 deselected" in output

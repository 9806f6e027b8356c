"""``make crash-suite``: all kill points on all databases and many launches with lost answers; ends with one JSON line.

The exit code is 0 only if every kill was made good, no VM was lost or made twice, and there was something to be seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import airflow_environment

if TYPE_CHECKING:
    from tests.crash_suite.databases import Database
    from tests.crash_suite.environment import Cloud
    from tests.crash_suite.kills import Kills

ON_SERVERS_EVERY = 5
"""On the database servers a process is killed at every so many points: what they do with it does not depend on us."""


@dataclass
class Result:
    """What was counted, in the order of the line that is printed."""

    launches: int
    answers_lost: int
    orphans: int
    doubles: int
    kill_points: int
    kill_points_survived: int

    def is_good(self, wanted: int) -> bool:
        """Whether all went well, of so many launches that were wanted; nothing seen is not well."""
        return (
            self.launches == wanted > 0
            and self.answers_lost > 0
            and self.orphans == self.doubles == 0
            and self.kill_points_survived == self.kill_points > 0
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash_suite", description=__doc__)
    parser.add_argument("--launches", type=int, default=1000, help="VMs that are launched while answers get lost")
    parser.add_argument("--lost", type=float, default=0.05, help="the share of all answers that gets lost")
    parser.add_argument("--points", type=int, default=1, help="kill at every so many points only")
    parser.add_argument("--sqlite-only", action="store_true", help="without PostgreSQL, MariaDB and OpenStack")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vmdirac-crash-suite-") as home:
        airflow_environment.isolate(os.environ, Path(home))
        airflow_environment.make_importable(os.environ)
        # Whatever is to be said of failures is said in the end; the loops log each lost answer.
        logging.disable(logging.CRITICAL)
        result = run(Path(home), options.launches, options.lost, options.points, sqlite_only=options.sqlite_only)
    print(json.dumps(asdict(result), separators=(",", ":")), flush=True)
    return 0 if result.is_good(options.launches) else 1


def run(home: Path, launches: int, share: float, every: int, *, sqlite_only: bool) -> Result:
    """All of it, in an environment that shows Airflow this checkout."""
    # Not before there is an environment, for they import Airflow.
    import structlog

    from tests.crash_suite.environment import ec2_behind_a_proxy
    from tests.crash_suite.lost_answers import launch_with_losses

    # The providers log around Python's own logging.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ec2_behind_a_proxy(home) as cloud, databases(home, sqlite_only=sqlite_only) as found:
        kill_points = survived = 0
        for name, database in found.items():
            step = every if name == "SQLite" else every * ON_SERVERS_EVERY
            for points, good in kills(cloud, name, database, step):
                kill_points += points
                survived += good
        if not sqlite_only:
            points, good = kills_without_client_tokens(home, found["SQLite"], every * ON_SERVERS_EVERY)
            kill_points += points
            survived += good
        losses = launch_with_losses(cloud, found["SQLite"], launches, share)
    say(f"{losses}")
    return Result(**asdict(losses), kill_points=kill_points, kill_points_survived=survived)


def kills(cloud: Cloud, name: str, database: Database, step: int) -> Iterator[tuple[int, int]]:
    """Kill points of each scene, and how many of them were made good."""
    from tests.crash_suite.ec2_ground import Ec2Ground
    from tests.crash_suite.kills import kill_at_each_point
    from tests.crash_suite.scenes import SCENES

    for scene in SCENES:
        ground = Ec2Ground(cloud.account, cloud.proxy, database, scene.prepare, afterwards=True)
        yield told(f"{scene.name} on {name}", kill_at_each_point(ground, scene.deed, scene.check, steps(step)))


def kills_without_client_tokens(home: Path, database: Database, step: int) -> tuple[int, int]:
    """Kill points of a tick on a real OpenStack, and how many of them were made good."""
    from tests.crash_suite.kills import kill_at_each_point
    from tests.crash_suite.nova_ground import NovaGround
    from tests.crash_suite.scenes import TICK
    from tests.hooks.openstack_world import OpenstackWorld
    from tests.servers.openstack_server import OpenStackServer

    if reason := OpenStackServer.unavailable():
        leave_out(reason)
        return 0, 0
    with OpenStackServer(home) as server:
        world = OpenstackWorld(server.settings)
        world.begin()
        try:
            ground = NovaGround(world, database, TICK.prepare)
            return told("tick on OpenStack", kill_at_each_point(ground, TICK.deed, TICK.check, steps(step)))
        finally:
            world.end()


def steps(step: int) -> Iterator[int]:
    """Not from the beginning where some are left out: there is nothing before the first statement."""
    return itertools.count(step // 2, step)


def told(where: str, found: Kills) -> tuple[int, int]:
    """Say what came of it; points, and how many of them were made good."""
    say(f"{where}: {found.survived} of {found.points} kills were made good")
    for failure in found.failures:
        say(failure)
    # One who came to the end alive and left a mess is no kill, and not well either.
    return found.points, found.points - len(found.failures)


@contextmanager
def databases(home: Path, *, sqlite_only: bool) -> Iterator[dict[str, Database]]:
    """SQLite, and those servers that can be started here."""
    from tests.crash_suite.databases import OnServer, SqliteFile
    from tests.servers.mariadb import MariaDBServer
    from tests.servers.postgres import PostgresServer

    with ExitStack() as stack:
        found: dict[str, Database] = {"SQLite": SqliteFile(home)}
        for kind in () if sqlite_only else (PostgresServer, MariaDBServer):
            if reason := kind.unavailable():
                leave_out(reason)
            else:
                server = stack.enter_context(kind(home))
                found[kind.title] = OnServer(server.create_database("crashes"))
        yield found


def leave_out(reason: str) -> None:
    """Go on without a server that is not there; where nothing may be left out, end."""
    if os.environ.get("CI") == "true":
        raise SystemExit(f"{reason} (CI=true: not left out)")
    say(f"left out: {reason}")


def say(text: str) -> None:
    """To people, who see how far it is; the last line on standard output is for programs."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

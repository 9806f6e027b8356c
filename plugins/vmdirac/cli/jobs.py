"""``vmdirac jobs``: the embedded queue from the command line."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from vmdirac.cli.arguments import CommandError, positive
from vmdirac.config.jobs import read_jobs_file
from vmdirac.model.states import JobStatus
from vmdirac.store import jobs_table, queue
from vmdirac.store.database import Store


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``jobs`` and what is below it."""
    parser = commands.add_parser("jobs", help="submit, list, show and cancel jobs of the embedded queue")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("submit", help="submit the jobs of a JSON file, all or none")
    verb.add_argument("file", type=Path, help='JSON: {"jobs": [{"name", "requirements", "payload"}, …]}')
    verb.set_defaults(run=submit)

    verb = verbs.add_parser("list", help="list jobs, the newest first")
    verb.add_argument("--status", action="append", choices=list(JobStatus), default=[], help="only these")
    verb.add_argument("--limit", type=positive, default=50, metavar="N", help="at most N (default 50)")
    verb.set_defaults(run=list_jobs)

    verb = verbs.add_parser("show", help="show a job, its attempts and its files")
    verb.add_argument("job", type=positive)
    verb.add_argument("--output", type=Path, metavar="DIRECTORY", help="write its log and output files there")
    verb.set_defaults(run=show)

    verb = verbs.add_parser("cancel", help="cancel waiting and running jobs")
    verb.add_argument("jobs", type=positive, nargs="+")
    verb.set_defaults(run=cancel)


def submit(store: Store, arguments: argparse.Namespace) -> int:
    jobs = read_jobs_file(arguments.file)
    with store.write() as session:
        ids = queue.submit(session, jobs, datetime.now(UTC))
    numbers = f"{ids[0]}" if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
    print(f"{len(ids)} job{'s' if len(ids) > 1 else ''} submitted: {numbers}")
    return 0


def list_jobs(store: Store, arguments: argparse.Namespace) -> int:
    statuses = [JobStatus(name) for name in arguments.status]
    with store.read() as session:
        rows = jobs_table.job_list(session, statuses, arguments.limit)
        print(f"{'job':>8}  {'status':<10} {'attempts':<9} {'vm':<8} {'submitted (UTC)':<20} name")
        for row in rows:
            attempts = f"{row.attempts}/{row.max_attempts}"
            submitted = row.submitted_at.strftime("%Y-%m-%d %H:%M:%S")
            print(f"{row.id:>8}  {row.status:<10} {attempts:<9} {row.instance_id or '-':<8} {submitted:<20} {row.name}")
    return 0


def show(store: Store, arguments: argparse.Namespace) -> int:
    with store.read() as session:
        details = jobs_table.job_details(session, arguments.job)
        if details is None:
            raise CommandError(f"there is no job {arguments.job}; `vmdirac jobs list` shows those there are")
        job = details.job
        described = {
            "job": job.id,
            "name": job.name,
            "status": job.status,
            "priority": job.priority,
            "requirements": asdict(details.requirements),
            "command": job.command,
            "submitted_at": job.submitted_at,
            "started_at": job.started_at,
            "finished_at": job.finished_at,
            "exit_code": job.exit_code,
            "cpu_seconds": job.cpu_seconds,
            "message": job.message,
            "attempts": [
                {
                    "number": item.number,
                    "instance": item.instance_id,
                    "started_at": item.started_at,
                    "ended_at": item.ended_at,
                    "outcome": item.outcome,
                    "exit_code": item.exit_code,
                    "message": item.message,
                    "late_at": item.late_at,
                }
                for item in details.attempts
            ],
            "files": [f"{direction}: {name}" for direction, name in details.files],
            "uploads": [asdict(item) for item in details.uploads],
        }
        results = jobs_table.results(session, job.id) if arguments.output is not None else []
    print(json.dumps(described, indent=2, default=str))
    if arguments.output is not None:
        _write(arguments.output, results)
    return 0


def _write(directory: Path, results: list[tuple[str, bytes]]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in results:
            (directory / name).write_bytes(content)
    except OSError as error:
        raise CommandError(f"{error.filename}: it cannot be written: {error.strerror}") from None


def cancel(store: Store, arguments: argparse.Namespace) -> int:
    with store.write() as session:
        cancelled = queue.cancel(session, arguments.jobs, datetime.now(UTC))
    left = sorted(set(arguments.jobs) - set(cancelled))
    if cancelled:
        print(f"cancelled: {', '.join(map(str, sorted(cancelled)))}")
    if left:
        raise CommandError(
            f"not cancelled, because they are not there or have ended: {', '.join(map(str, left))};"
            " `vmdirac jobs list` shows those there are"
        )
    return 0

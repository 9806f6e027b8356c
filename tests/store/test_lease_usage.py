"""What of a VM is taken by leases."""

from __future__ import annotations

from dataclasses import replace

from tests.store.job_queue import Queue
from vmdirac.model.requirements import Requirements
from vmdirac.store import instances, lease_usage
from vmdirac.store.lease_usage import InUse


def test_what_leases_take_is_known_for_one_vm_and_for_all(jobs: Queue) -> None:
    vm, other, idle = jobs.vm(processors=8, memory_mb=9000), jobs.vm(processors=2), jobs.vm()
    for _ in range(2):
        jobs.submit(Requirements(cpu_time=10, processors=2, memory_mb=1500))
    jobs.submit(Requirements(cpu_time=20, processors=3))
    jobs.match(vm)
    jobs.submit()
    jobs.match(other)
    with jobs.store.read() as session:
        assert lease_usage.in_use(session) == {vm: InUse(7, 3000), other: InUse(1, 0)}
        assert lease_usage.in_use(session, vm) == {vm: InUse(7, 3000)}
        assert lease_usage.in_use(session, idle) == {}


def test_an_instance_is_taken_by_what_it_reports_or_by_our_books_whichever_is_more(jobs: Queue) -> None:
    vm, busier = jobs.vm(processors=8, memory_mb=9000), jobs.vm(processors=8)
    jobs.submit(Requirements(cpu_time=10, processors=3, memory_mb=1500))
    jobs.match(vm)
    with jobs.store.read() as session:
        found = [replace(instances.get(session, busier), busy_processors=5), instances.get(session, vm)]  # type: ignore[type-var]
        corrected = lease_usage.less_what_is_leased(session, found)  # type: ignore[arg-type]
    assert [(item.busy_processors, item.busy_memory_mb) for item in corrected] == [(5, 0), (3, 1500)]

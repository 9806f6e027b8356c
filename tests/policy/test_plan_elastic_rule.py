"""The elastic rule: waiting CPU / active instances >= cpu_per_instance, applied again after each VM."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import candidate, codes, endpoint, instance, kept, plan, planned, pod, queue, static, total
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus as S


def busy(count: int, **values: Any) -> list[Instance]:
    """Active VMs that take no more jobs."""
    return [instance(n, busy_processors=1, jobs=1, **values) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("jobs", "per_instance", "active", "started"),
    [
        # 10 jobs of 100 s each: 1000 s wait.
        (10, 0, 0, 10),
        (10, 0, 7, 10),
        (10, 100, 0, 10),
        # 1000 s are enough for 4 active ones at 250 s each, so a fifth starts, and then no more.
        (10, 250, 0, 5),
        (10, 250, 3, 2),
        (10, 250, 4, 1),
        (10, 250, 5, 0),
        # Just not enough.
        (10, 250.1, 4, 0),
        # With none active the rule holds, whatever waits.
        (10, 1e12, 0, 1),
        (10, 1e12, 1, 0),
        (1, 1000, 0, 1),
        # So small that it is as good as none.
        (10, 5e-324, 3, 10),
    ],
)
def test_the_rule(jobs: int, per_instance: float, active: int, started: int) -> None:
    made = plan([candidate(pod(cpu_per_instance=per_instance), endpoint())], [queue(jobs)], busy(active))
    assert total(made) == started
    assert made.decisions[0].warranted == started
    assert ("cpu_per_instance" in codes(made)) is (started < jobs)


@pytest.mark.parametrize(
    ("per_instance", "active", "warranted"),
    [(250, 0, 5), (250, 3, 2), (250, 4, 1), (250, 5, 0), (0, 3, 10), (1e12, 0, 1)],
)
def test_what_a_pod_is_worth_is_told_whatever_its_limits(per_instance: float, active: int, warranted: int) -> None:
    ways = [candidate(pod(cpu_per_instance=per_instance, max_instances=0), endpoint())]
    made = plan(ways, [queue(10)], busy(active))
    assert total(made) == 0
    assert made.decisions[0].warranted == warranted


def test_what_is_said_of_it() -> None:
    made = plan([candidate(pod(cpu_per_instance=600), endpoint())], [queue(10)], busy(2))
    assert codes(made) == ["demand", "cpu_per_instance"]
    sentence = str(made.decisions[0].reasons[1])
    assert sentence == "1000 s of waiting CPU for 2 active VMs is less than the 600 s per VM asked for"


def test_the_rule_is_not_blamed_where_all_jobs_have_a_vm() -> None:
    """After the second VM the rule would hold back a third, but nothing is left for one."""
    made = plan([candidate(pod(cpu_per_instance=150), endpoint())], [queue(2)])
    assert total(made) == 2
    assert codes(made) == ["demand"]


def test_waiting_cpu_is_that_of_the_beginning_not_what_is_left() -> None:
    """1000 s for 4 VMs: were the jobs of planned VMs subtracted, the rule would stop earlier."""
    assert total(plan([candidate(pod(cpu_per_instance=250), endpoint())], [queue(10)])) == 5


def test_each_task_queue_counts_once_however_many_endpoints_match_it() -> None:
    ways = [candidate(pod(cpu_per_instance=250), endpoint(name)) for name in "ABC"]
    assert total(plan(ways, [queue(10)])) == 5


def test_active_are_the_pods_rows_over_all_endpoints() -> None:
    wants = pod(cpu_per_instance=250)
    ways = [candidate(wants, endpoint("A")), candidate(wants, endpoint("B"))]
    assert total(plan(ways, [queue(10)], busy(4, endpoint="B"))) == 1
    assert total(plan(ways, [queue(10)], busy(5, endpoint="B"))) == 0
    # Also on an endpoint that the pod names no more, or whose connection is in error.
    assert total(plan(ways, [queue(10)], busy(5, endpoint="removed"))) == 0
    # But not another pod's.
    assert total(plan(ways, [queue(10)], busy(5, pod="other"))) == 5


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (S.NEW, True),
        (S.SUBMITTED, True),
        (S.WAIT_SSH_CONTEXT, True),
        (S.CONTEXTUALIZING, True),
        (S.RUNNING, True),
        (S.STOPPING, False),
        (S.STALLED, False),
        (S.ERROR, False),
    ],
)
def test_active_are_new_and_live_ones(state: S, *, counts: bool) -> None:
    # On another endpoint, so that none of them is given a job.
    rows = [instance(n, state, endpoint="removed") for n in range(4)]
    made = plan([candidate(pod(cpu_per_instance=400), endpoint())], [queue(10)], rows)
    assert total(made) == (0 if counts else 3)


def test_static_vms_of_the_same_tick_are_active() -> None:
    wants = pod(cpu_per_instance=250)
    ways = [candidate(wants, static("A", max_instances=4)), candidate(wants, endpoint("B"))]
    assert planned(plan(ways, [queue(10)])) == {("pod", "A"): 4, ("pod", "B"): 1}


@pytest.mark.parametrize("on", [static(max_instances=4), kept(max_instances=4)], ids=["static", "kept"])
def test_static_endpoints_are_filled_whatever_the_rule_says(on: object) -> None:
    assert total(plan([candidate(pod(cpu_per_instance=1e12), on)], [queue(1)])) == 4  # type: ignore[arg-type]


@PROPERTY
@given(
    jobs=st.integers(0, 40),
    cpu_time=st.integers(1, 1000),
    per_instance=st.one_of(st.integers(0, 3000), st.floats(0, 3000)),
    active=st.integers(0, 12),
)
def test_the_rule_one_vm_after_the_other(jobs: int, cpu_time: int, per_instance: float, active: int) -> None:
    expected = 0
    while expected < jobs and (active + expected == 0 or jobs * cpu_time >= per_instance * (active + expected)):
        expected += 1
    ways = [candidate(pod(cpu_per_instance=per_instance), endpoint())]
    assert total(plan(ways, [queue(jobs, cpu_time=cpu_time)] if jobs else [], busy(active))) == expected

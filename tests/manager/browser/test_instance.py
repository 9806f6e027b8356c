"""The page of one instance: where links of tasks lead, and lines of the table."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.test_looks import CONTRASTS, ENOUGH
from tests.manager.browser.visitor import SCROLLED, Look, fact
from vmdirac.model.one_off import Requester
from vmdirac.model.requirements import Offer
from vmdirac.model.ssh import HostKey, HostKeySource
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.host_keys import Pins
from vmdirac.store import handouts, instance_logs, instances, refusals, ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.handouts import Handout

if TYPE_CHECKING:
    pass

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

TASK = Requester("nightly", "manual__2026-03-01T12:00:00+00:00", "start", 1)


def of_task(store: Store, now: datetime, count: int = 1) -> list[int]:
    """VMs of a task that are being stopped, with their history; their ids."""
    rows = [
        fleet.instance(
            number,
            InstanceStatus.SUBMITTED,
            now,
            pod="",
            image="",
            requester=asdict(TASK),
            requester_key=TASK.key,
            request={"boot_image": "ami-0123", "flavor": "m5.large", "user_data": "#!/bin/sh\n# a secret"},
            offer=asdict(Offer(0, max_lifetime=7200)),
        )
        for number in range(200, 200 + count)
    ]
    with store.write() as session:
        instances.add(session, rows, f"{TASK} asked for it")
        for row in rows:
            item = instances.get(session, row.id)
            assert item is not None
            why = f"terminated by {fleet.HOSTILE}"
            instances.change(
                session,
                item,
                now - timedelta(minutes=5),
                why,
                to=InstanceStatus.STOPPING,
                drain_phase=DrainPhase.DELETING,
                stop_reason=StopReason.REQUESTED,
                forced=True,
                error_kind="transient",
                error_message=fleet.HOSTILE,
            )
    return [row.id for row in rows]


def test_it_says_what_is_known_of_a_vm_of_a_task(look: Look, store: Store, now: datetime) -> None:
    [id_] = of_task(store, now)
    visitor = look(id_)
    assert fact(visitor, "State").inner_text().split("\n") == ["Stopping", "deleting", "requested"]
    assert fact(visitor, "Boots").inner_text() == "ami-0123, m5.large"
    link = fact(visitor, "Asked for by").get_by_role("link")
    assert link.inner_text() == "nightly.start[1]"
    address = link.get_attribute("href") or ""
    assert address.endswith("/dags/nightly/runs/manual__2026-03-01T12%3A00%3A00%2B00%3A00/tasks/start/mapped/1")
    assert fact(visitor, "In run").inner_text() == TASK.run_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", fact(visitor, "Ends at the latest (UTC)").inner_text())
    assert "a secret" not in visitor.page.content()


def test_its_history_and_its_error_are_text_whatever_is_in_them(look: Look, store: Store, now: datetime) -> None:
    [id_] = of_task(store, now)
    visitor = look(id_)
    history = visitor.page.get_by_role("table", name="History")
    assert history.locator('td[data-label="What happened"]').all_inner_texts() == [
        f"{TASK} asked for it",
        f"terminated by {fleet.HOSTILE}",
    ]
    assert history.locator('td[data-label="State"]').all_inner_texts() == ["Submitted", "Stopping\ndeleting"]
    error = visitor.page.get_by_role("region", name="Error")
    assert f"transient: {fleet.HOSTILE}" in error.inner_text()
    assert visitor.page.evaluate("window.hacked") is None


def test_it_says_how_long_each_phase_was(look: Look, store: Store, now: datetime) -> None:
    [id_] = of_task(store, now)
    table = look(id_).page.get_by_role("table", name="Phases")
    assert table.locator('td[data-label="Phase"]').all_inner_texts() == ["boot", "delete"]
    boot, deleting = table.locator('td[data-label="For"]').all_inner_texts()
    assert boot == "0 s", "a VM that was started in the future has not booted for long"
    assert re.fullmatch(r"[5-9] min so far", deleting)


def test_it_says_what_was_refused_and_what_the_vm_was_given(look: Look, store: Store, now: datetime) -> None:
    with store.write() as session:
        row = fleet.instance(210, InstanceStatus.RUNNING, now, suspicious=True)
        instances.add(session, [row], "made by a test")
        refusals.add(session, {(row.id, "other_nonce"): 3}, now - timedelta(minutes=5))
        given = [Handout("proxy", "0123456789abcdef", now + timedelta(hours=12))]
        handouts.note(session, row.id, "pod", given, now - timedelta(minutes=5))
    visitor = look(row.id)
    assert "somebody has pretended" in fact(visitor, "Suspicious").inner_text()
    assert fact(visitor, "Refused calls").inner_text().startswith("3 × other nonce, last ")
    table = visitor.page.get_by_role("table", name="Credentials")
    assert table.locator('td[data-label="Credential"]').all_inner_texts() == ["proxy"]
    assert table.locator('td[data-label="Version"]').all_inner_texts() == ["01234567"]
    assert table.locator('td[data-label="Times"]').all_inner_texts() == ["1"]


def test_it_leads_to_those_that_were_asked_for_together(look: Look, store: Store, now: datetime) -> None:
    first, second = of_task(store, now, 2)
    visitor = look(first)
    siblings = fact(visitor, "Together with")
    assert siblings.inner_text().split() == [f"#{first}", f"#{second}"]
    assert siblings.locator("[aria-current=true]").inner_text() == f"#{first}"
    siblings.get_by_role("link", name=f"Instance {second}").click()
    visitor.page.get_by_role("heading", name=f"Instance {second}").wait_for()
    assert visitor.page.url.endswith(f"?instance={second}")
    visitor.page.go_back()
    visitor.page.get_by_role("heading", name=f"Instance {first}").wait_for()


def test_a_line_of_the_table_leads_there_and_back(look: Look, store: Store, now: datetime) -> None:
    [id_] = of_task(store, now)
    visitor = look(id_)
    visitor.page.get_by_role("button", name="All instances").click()
    visitor.table.wait_for()
    line = visitor.rows.filter(has=visitor.page.get_by_role("link", name=f"Instance {id_}", exact=True))
    assert line.locator('[data-label="Pod"]').inner_text() == "nightly.start[1]"
    line.get_by_role("link").click()
    visitor.page.get_by_role("heading", name=f"Instance {id_}").wait_for()


def test_of_a_pods_vm_it_says_what_the_vm_told(look: Look, store: Store) -> None:
    with store.read() as session:
        running = next(item for item in instances.unfinished(session) if item.status is InstanceStatus.RUNNING)
    visitor = look(running.id)
    assert fact(visitor, "Pod").inner_text() == running.pod
    assert fact(visitor, "Jobs").inner_text() == f"{running.jobs} of {running.processors}"
    assert visitor.page.get_by_text("Asked for by").count() == 0


def test_the_agents_log_is_a_click_away_and_only_text(look: Look, store: Store, now: datetime) -> None:
    with store.write() as session:
        running = next(item for item in instances.unfinished(session) if item.status is InstanceStatus.RUNNING)
        instance_logs.keep(session, running.id, f"registered\n{fleet.HOSTILE}\n".encode(), now)
    visitor = look(running.id)
    with visitor.page.expect_popup() as opened:
        fact(visitor, "Agent's log (UTC)").get_by_role("link", name="Agent's log").click()
    log = opened.value
    log.wait_for_load_state()
    assert log.locator("pre").inner_text().strip() == f"registered\n{fleet.HOSTILE}"
    assert log.locator("img, script").count() == 0
    log.close()


def test_of_a_vm_without_a_log_none_is_spoken_of(look: Look, store: Store) -> None:
    with store.read() as session:
        running = next(item for item in instances.unfinished(session) if item.status is InstanceStatus.RUNNING)
    assert look(running.id).page.get_by_text("Agent's log").count() == 0


def test_it_can_be_read_in_light_and_dark_on_any_screen(
    look: Look, store: Store, now: datetime, tmp_path: Path
) -> None:
    page = look(of_task(store, now, 2)[0]).page
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    for scheme, width in product(schemes, (1280, 400)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(f"html.{scheme}").wait_for()
        texts = page.evaluate(CONTRASTS)
        assert len(texts) > 30
        assert [text for text in texts if text["contrast"] < ENOUGH] == []
        assert page.locator(SCROLLED).evaluate("element => element.scrollWidth <= element.clientWidth")
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png")


def test_one_that_there_is_not(look: Look) -> None:
    visitor = look(10**6)
    visitor.page.get_by_role("heading", name="There is no such instance").wait_for()
    # Chromium itself notes that the answer was 404.
    assert all("404" in problem for problem in visitor.problems)
    visitor.problems.clear()


def over_ssh(store: Store, now: datetime) -> int:
    """A VM that showed another key than the one that was trusted, and whose script failed before."""
    row = fleet.instance(300, InstanceStatus.WAIT_SSH_CONTEXT, now, context_method="ssh")
    with store.write() as session:
        instances.add(session, [row], "decided")
        one = instances.get(session, row.id)
        assert one is not None
        pins = Pins((HostKey("ed25519", "SHA256:kept"), HostKey("", "SHA256:other")), HostKeySource.FIRST_USE)
        ssh_contexts.record_host_keys(session, one.id, pins)
        ssh_contexts.begin_try(session, one, "2001:db8::1", now)
        ssh_contexts.note_progress(session, one.id, 1, 7, f"no space left\n{fleet.HOSTILE}", now)
        ssh_contexts.note_refused_key(session, one.id, fleet.HOSTILE, now)
        ssh_contexts.note_failed_visit(session, one.id, "2001:db8::1", fleet.HOSTILE, now)
    return row.id


def test_how_it_is_reached_over_ssh_and_by_which_keys(look: Look, store: Store, now: datetime) -> None:
    visitor = look(over_ssh(store, now))
    assert fact(visitor, "Suspicious").inner_text() == "somebody has pretended to be its VM: the history says how"
    assert fact(visitor, "Address").inner_text() == "2001:db8::1"
    assert fact(visitor, "Host keys").inner_text().split("\n") == ["SHA256:kept (ED25519)", "SHA256:other"]
    assert fact(visitor, "Known from").inner_text() == "trusted on first use"
    assert fact(visitor, "Visits in vain").inner_text() == "1"
    assert fact(visitor, "The last one").inner_text() == fleet.HOSTILE
    assert fact(visitor, "Tries").inner_text() == "1"
    assert fact(visitor, "Exit status").inner_text() == "7"
    fact(visitor, "Output").get_by_role("button").click()
    dialog = visitor.page.get_by_role("dialog")
    assert dialog.get_by_text("no space left").inner_text() == f"no space left\n{fleet.HOSTILE}"
    assert visitor.page.evaluate("window.hacked") is None

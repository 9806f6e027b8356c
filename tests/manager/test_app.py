"""The app as a whole: nothing in it is open by accident."""

import pytest
from fastapi.routing import APIRoute

from vmdirac.manager import (
    agent_routes,
    context_routes,
    scheduling_routes,
    statistics_routes,
    stop_rights,
    stop_routes,
    ui_files_routes,
    ui_routes,
    vm_files_routes,
    vm_routes,
)
from vmdirac.manager.app import create_app

pytestmark = pytest.mark.slow

OPEN_TO_ALL = {"/vm/v1/agent", "/vm/v1/agent/{sha256}"}


def routes() -> list[APIRoute]:
    of_vms = (vm_routes, agent_routes, vm_files_routes, context_routes)
    of_people = (ui_routes, ui_files_routes, scheduling_routes, statistics_routes, stop_routes)
    routers = [part.router for part in (*of_vms, *of_people)]
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def dependencies(route: APIRoute) -> set[object]:
    found: set[object] = set()
    waiting = [route.dependant]
    while waiting:
        one = waiting.pop()
        found.add(one.call)
        waiting.extend(one.dependencies)
    return found


def test_every_route_of_vms_asks_for_a_vms_token() -> None:
    for route in routes():
        if route.path.startswith("/vm/") and route.path not in OPEN_TO_ALL:
            # Before it has a token a VM has its bootstrap secret, which these routes check themselves.
            for_the_secret = route.path.endswith(("/register", "/context"))
            asked = {vm_routes.caller, vm_routes.caller_or_returner} & dependencies(route)
            assert for_the_secret or asked, route.path


def test_every_route_for_people_asks_for_a_permission() -> None:
    people = [route for route in routes() if not route.path.startswith("/vm/")]
    assert people
    for route in people:
        assert ui_routes.may_see in dependencies(route), route.path


def test_every_action_asks_for_a_further_one_and_refuses_other_sites() -> None:
    actions = [route for route in routes() if not route.path.startswith("/vm/") and route.methods != {"GET"}]
    assert len(actions) == 4
    for route in actions:
        assert route.methods == {"POST"}
        asked = dependencies(route)
        assert scheduling_routes.from_our_page in asked, route.path
        assert asked & {scheduling_routes.may_act, stop_rights.may_stop}, route.path


def test_what_vms_left_behind_takes_the_right_to_act() -> None:
    for route in ui_files_routes.router.routes:
        assert isinstance(route, APIRoute)
        assert scheduling_routes.may_act in dependencies(route), route.path


def test_the_app_has_no_other_routes() -> None:
    app = create_app()
    known = {route.path for route in routes()}
    opened = set(app.openapi()["paths"])
    assert opened == {path.replace(":path}", "}") for path in known}


def test_the_app_shows_no_description_of_itself() -> None:
    app = create_app()
    assert (app.docs_url, app.redoc_url, app.openapi_url) == (None, None, None)

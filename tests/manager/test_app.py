"""The app as a whole: nothing in it is open by accident."""

from fastapi.routing import APIRoute

from vmdirac.manager import ui_routes, vm_routes
from vmdirac.manager.app import create_app

OPEN_TO_ALL = {"/vm/v1/agent"}


def routes() -> list[APIRoute]:
    return [*vm_routes.router.routes, *ui_routes.router.routes]  # type: ignore[list-item]


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
            registers = route.path.endswith("/register")
            asked = {vm_routes.caller, vm_routes.caller_or_returner} & dependencies(route)
            assert registers or asked, route.path


def test_every_route_for_people_asks_for_a_permission() -> None:
    guard = ui_routes.router.dependencies[0].dependency
    paths = [route.path for route in routes() if not route.path.startswith("/vm/")]
    assert paths
    for route in routes():
        if route.path in paths:
            assert guard in dependencies(route), route.path


def test_the_app_shows_no_description_of_itself() -> None:
    app = create_app()
    assert (app.docs_url, app.redoc_url, app.openapi_url) == (None, None, None)

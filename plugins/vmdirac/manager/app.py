"""The app that Airflow's API server mounts at ``/vmdirac``. Built there and nowhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeftError
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from vmdirac import __version__
from vmdirac.contextualization.user_data import agent_source
from vmdirac.manager import (
    agent_routes,
    context_routes,
    scheduling_routes,
    statistics_routes,
    stop_routes,
    ui_files_routes,
    ui_routes,
    vm_files_routes,
    vm_routes,
)
from vmdirac.manager.body_limit import BodyLimit, BodyRefusedError
from vmdirac.manager.configured import Configured
from vmdirac.manager.credential_desk import CredentialDesk
from vmdirac.manager.refusals import Refusals
from vmdirac.manager.signing_desk import SigningDesk
from vmdirac.policy.credentials import LOOK_EVERY
from vmdirac.store import agent_programs
from vmdirac.store.database import Store
from vmdirac.store.installation import MARK_EVERY, mark_hearing
from vmdirac.store.refusals import NOBODYS

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"


class PageFiles(StaticFiles):
    """The page's files. Browsers ask at each visit whether they changed: the modules of a page must be of one version,
    and nothing in their addresses tells versions apart."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the store, and keeps noting that VMs can reach us.

    Nothing here may fail: Airflow's API server starts and stops with us, and serves more than us.
    """
    app.state.refusals = Refusals()
    app.state.configured = Configured()
    app.state.credentials = CredentialDesk()
    app.state.signing = SigningDesk()
    try:
        app.state.store = store = Store.from_config()
    except (SQLAlchemyError, ImportError) as error:
        # The URL is not logged: there is a password in it.
        log.error("[vmdirac] sql_alchemy_conn names no database that can be used: %s", type(error).__name__)
        app.state.store = None
        yield
        return
    tasks = [asyncio.create_task(_keep_marking(app, store)), asyncio.create_task(_keep_looking(app, store))]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(SQLAlchemyError):
        app.state.refusals.write(store, datetime.now(UTC))
    app.state.credentials.close()
    app.state.signing.close()
    store.close()


async def _keep_marking(app: FastAPI, store: Store) -> None:
    agent_is_kept = False
    while True:
        try:
            await run_in_threadpool(mark_hearing, store, datetime.now(UTC))
            await run_in_threadpool(app.state.refusals.write, store, datetime.now(UTC))
            if not agent_is_kept:
                await run_in_threadpool(_keep_agent, store)
                agent_is_kept = True
        except SQLAlchemyError as error:
            log.error("vmdirac's database cannot be used (%s): has `airflow db migrate` been run?", error)
        app.state.credentials.forget(datetime.now(UTC))
        await asyncio.sleep(MARK_EVERY.total_seconds())


async def _keep_looking(app: FastAPI, store: Store) -> None:
    while True:
        # First of all others are served.
        await asyncio.sleep(LOOK_EVERY.total_seconds())
        try:
            await app.state.credentials.look(store, app.state.configured, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find it gone
            log.error("it was not seen which credentials can be read: %s", type(error).__name__)


def _keep_agent(store: Store) -> None:
    """Whoever hears of this version from us may come for it to an API server of another one."""
    store.transact(lambda session: agent_programs.keep(session, agent_source(), datetime.now(UTC)))


def say_that_it_is_down(_: Request, error: Exception) -> JSONResponse:
    """The answer while the database cannot be used: VMs try again."""
    log.error("vmdirac's database cannot be used: %s", error)
    return JSONResponse({"detail": "the database cannot be used now"}, status_code=503, headers={"Retry-After": "5"})


def say_what_is_wrong(request: Request, error: Exception) -> JSONResponse:
    """The answer to a message that is not as it must be; a VM's is counted. What was sent is not sent back: it may hold
    a secret, or a number that JSON does not have."""
    if not isinstance(error, RequestValidationError):
        raise error
    if isinstance(route := request.scope.get("route"), APIRoute) and route.path.startswith("/vm/"):
        log.warning("a VM's message was refused: it is not as %s needs it", route.path)
        request.app.state.refusals.note(NOBODYS, "message_malformed")
    findings = [{"loc": item["loc"], "msg": item["msg"], "type": item["type"]} for item in error.errors()]
    return JSONResponse({"detail": findings}, status_code=422)


async def count_body_and_answer(request: Request, error: Exception) -> Response:
    """The answer to a body that is refused while it is read; it is counted."""
    if not isinstance(error, BodyRefusedError):
        raise error
    request.app.state.refusals.note(NOBODYS, error.reason)
    return await http_exception_handler(request, error)


async def count_and_answer(request: Request, error: Exception) -> Response:
    """The answer to a VM whose call is refused, which is counted."""
    if not isinstance(error, vm_routes.CallRefusedError):
        raise error
    request.app.state.refusals.note(error.instance, error.reason)
    return await http_exception_handler(request, error)


def create_app() -> FastAPI:
    """The app with the VM interface, what people may see, and the page's files."""
    app = FastAPI(
        title="vmdirac", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(BodyLimit)
    app.add_exception_handler(vm_routes.CallRefusedError, count_and_answer)
    app.add_exception_handler(BodyRefusedError, count_body_and_answer)
    app.add_exception_handler(RequestValidationError, say_what_is_wrong)
    app.add_exception_handler(OperationalError, say_that_it_is_down)
    # It hangs: all connections that we may have wait for it.
    app.add_exception_handler(NoConnectionLeftError, say_that_it_is_down)
    app.include_router(vm_routes.router)
    app.include_router(agent_routes.router)
    app.include_router(vm_files_routes.router)
    app.include_router(context_routes.router)
    app.include_router(ui_routes.router)
    app.include_router(ui_files_routes.router)
    app.include_router(scheduling_routes.router)
    app.include_router(statistics_routes.router)
    app.include_router(stop_routes.router)
    app.mount("/static", PageFiles(directory=STATIC), name="static")
    return app

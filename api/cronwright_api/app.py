"""Puts the application together: routes, errors, middleware, and the lifespan that owns the pool and the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import anyio
from fastapi import APIRouter, FastAPI

from cronwright_api import errors
from cronwright_api.deps import Backends
from cronwright_api.first_contact import tell_of_database
from cronwright_api.jwks_address import open_address
from cronwright_api.key_files import KeyFiles, load_jwks_file, load_secrets
from cronwright_api.keys import KeyRingError, KeySource
from cronwright_api.live.streams import LiveLogs, StreamLimits
from cronwright_api.live.wakeups import Wakeups
from cronwright_api.metrics import ApiMetrics
from cronwright_api.middleware import RequestFrame
from cronwright_api.quick_lane import QuickLane
from cronwright_api.routes import (
    docs,
    executions,
    health,
    log_stream,
    projects,
    running,
    schedules,
    statistics,
    system,
    tasks,
    workspaces,
)
from cronwright_api.schemas.openapi import document_for
from cronwright_api.schemas.projects import ProjectCreate, ProjectUpdate
from cronwright_api.schemas.schedules import SchedulePreview
from cronwright_api.schemas.tasks import TaskCreate, TaskUpdate
from cronwright_api.schemas.triggers import TriggerBody
from cronwright_api.settings import BASE_PATH, ApiSettings
from cronwright_api.tokens import TokenVerifier
from cronwright_core.kube.client import KubeClient
from cronwright_core.store.executions import ExecutionStore
from cronwright_core.store.log_following import LogReader
from cronwright_core.store.logs import LogStore
from cronwright_core.store.notifications import EXECUTION_CHANNEL, LOG_CHANNEL, listen
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.session import Database, parse_url, place_of
from cronwright_core.store.system import SystemStore
from cronwright_core.store.tasks import TaskStore
from cronwright_core.store.workspaces import WorkspaceStore

PINGS = 2
"""Threads for the readiness probe's ping of the database, and as many for endpoint 13, apart from those that serve
requests."""
OpenBackends = Callable[[], AbstractAsyncContextManager[Backends]]


def create_app(
    settings: ApiSettings, open_backends: OpenBackends | None = None, metrics: ApiMetrics | None = None
) -> FastAPI:
    """The application; `open_backends` replaces database and API server in tests.

    Nothing is opened before the lifespan starts, and a database that is away does not keep it from starting.
    """
    metrics = metrics or ApiMetrics()
    opener = open_backends or (lambda: real_backends(settings, metrics))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opener() as backends:
            lane = QuickLane()
            app.state.backends = backends
            metrics.watch_streams(lambda: backends.live.count)
            app.state.quick_lane = lane
            app.state.ping_limiter = anyio.CapacityLimiter(PINGS)
            app.state.metrics_limiter = anyio.CapacityLimiter(PINGS)
            try:
                yield
            finally:
                lane.close()

    app = FastAPI(
        title="Cronwright 任务调度 API",
        version=package_version(),
        description="基础路径 `/api/v1/scheduler`；所有接口都需要JWT认证。",
        lifespan=lifespan,
        root_path=settings.root_path,
        docs_url=None,  # FastAPI's pages would load scripts from a CDN; ours is routes/docs.py
        redoc_url=None,
        redirect_slashes=False,
    )
    api = APIRouter(prefix=BASE_PATH)
    for module in (tasks, statistics, executions, log_stream, running, schedules, projects, system, workspaces):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(docs.router)
    errors.install(app)
    app.state.metrics = metrics
    app.add_middleware(RequestFrame, metrics=metrics)
    bodies = (TaskCreate, TaskUpdate, TriggerBody, ProjectCreate, ProjectUpdate, SchedulePreview)
    app.openapi = document_for(app, bodies)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def real_backends(settings: ApiSettings, metrics: ApiMetrics | None = None) -> AsyncIterator[Backends]:
    """PostgreSQL, the API server and the keys that the settings name.

    Raises:
        KeyRingError, KubeConfigError, ValueError: with what to do.
    """
    metrics = metrics or ApiMetrics()
    async with AsyncExitStack() as stack:
        verifier = await stack.enter_async_context(open_verifier(settings))
        database = Database(
            settings.database_url.get_secret_value(),
            application_name="cronwright-api",
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_max_overflow,
            observe=metrics.database.observe,
        )
        metrics.database.watch_pool(database.usage)
        stack.callback(database.dispose)
        where = place_of(parse_url(settings.database_url.get_secret_value()))
        await stack.enter_async_context(tell_of_database(database.ping, where))
        client = await KubeClient.connect(
            user_agent=f"cronwright-api/{package_version()}", observe=metrics.kube.observe
        )
        stack.push_async_callback(client.close)
        live = live_logs(settings, database)
        stack.push_async_callback(live.close)
        yield Backends(
            verifier=verifier,
            database=database,
            tasks=TaskStore(database),
            projects=ProjectStore(database),
            executions=ExecutionStore(database),
            logs=LogStore(database),
            live=live,
            system=SystemStore(database),
            workspaces=WorkspaceStore(database),
            objects=client,
            clock=lambda: datetime.now(UTC),
            namespace=settings.home_namespace,
            default_time_zone=settings.default_time_zone,
        )


@asynccontextmanager
async def open_verifier(settings: ApiSettings) -> AsyncIterator[TokenVerifier]:
    """What checks tokens, with the keys of all places that the settings name.

    Raises:
        KeyRingError: with what to do. An address that is away is no error: its keys come when it answers.
    """
    sources: list[KeySource] = [*key_files_of(settings)]
    async with AsyncExitStack() as stack:
        if settings.jwt_jwks_url is not None:
            address = open_address(settings.jwt_jwks_url, refresh_seconds=settings.jwt_jwks_refresh_seconds)
            sources.append(await stack.enter_async_context(address))
        yield TokenVerifier(
            tuple(sources),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            roles_claim=settings.jwt_roles_claim,
            admin_role=settings.jwt_admin_role,
        )


def key_files_of(settings: ApiSettings) -> tuple[KeyFiles, ...]:
    """The keys in files that the settings name, read for the first time.

    Raises:
        KeyRingError: with what to do.
    """
    files = []
    if settings.jwt_keys_dir is not None:
        files.append(load_secrets(settings.jwt_keys_dir))
    if settings.jwt_jwks_file is not None:
        files.append(load_jwks_file(settings.jwt_jwks_file))
    if not files and settings.jwt_jwks_url is None:
        raise KeyRingError(
            "no keys to check tokens by: set CRONWRIGHT_JWT_KEYS_DIR (HS256 secrets), CRONWRIGHT_JWT_JWKS_FILE or"
            " CRONWRIGHT_JWT_JWKS_URL (public keys)"
        )
    return tuple(files)


def live_logs(settings: ApiSettings, database: Database, limits: StreamLimits | None = None) -> LiveLogs:
    """Log streams over this database, woken by its notifications."""
    url = settings.database_url.get_secret_value()
    channels = (LOG_CHANNEL, EXECUTION_CHANNEL)
    wakeups = Wakeups(lambda: listen(url, channels, application_name="cronwright-api-listener"))
    limits = limits or StreamLimits(total=settings.max_log_streams, per_user=settings.max_log_streams_per_user)
    return LiveLogs(LogReader(database), wakeups, limits)


def package_version() -> str:
    """The installed distribution's version."""
    try:
        return version("cronwright")
    except PackageNotFoundError:
        return "0"

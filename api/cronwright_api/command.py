"""`cronwright api`, `token` and `openapi`. What keeps the API from starting is said in one line."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from cronwright_api import json_log
from cronwright_api.app import create_app, key_files_of
from cronwright_api.key_files import load_secrets
from cronwright_api.keys import KeyRingError
from cronwright_api.metrics import ApiMetrics, served
from cronwright_api.settings import ApiSettings
from cronwright_api.tokens import ADMIN_ROLE, ROLES_CLAIM, User, make_token
from cronwright_core.domain.timezones import UnknownTimeZoneError, load_zone
from cronwright_core.kube.client import KubeConfigError, load_configuration
from cronwright_core.store.session import parse_url

GRACE_SECONDS = 20
"""For requests under way when the process is asked to end; Kubernetes gives 30."""
KEYS_DIR = "CRONWRIGHT_JWT_KEYS_DIR"
logger = logging.getLogger("cronwright_api")


class ApiServer(uvicorn.Server):
    """Ends what would go on for ever before it waits for the rest: log streams, else, hold it for all its grace."""

    def __init__(self, config: uvicorn.Config, *, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        self._end_streams()
        await super().shutdown(sockets)


def serve(argv: Sequence[str]) -> int:
    """Runs the API until SIGTERM or SIGINT; 1 if it cannot start."""
    argparse.ArgumentParser(
        prog="cronwright api",
        description="Serves the REST API. Its settings are environment variables (DATABASE_URL, CRONWRIGHT_*).",
    ).parse_args(argv)
    try:
        settings = ApiSettings()
        json_log.configure(settings.log_level)
        _check(settings)
    except ValidationError as error:
        return _refuse("api", _settings_problem(error))
    except (KeyRingError, KubeConfigError, UnknownTimeZoneError, ValueError) as error:
        return _refuse("api", str(error))
    metrics = ApiMetrics()
    app = create_app(settings, metrics=metrics)
    server = ApiServer(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=75,
        ),
        # Routes have been served, so the lifespan has put the backends there.
        end_streams=lambda: app.state.backends.live.end_streams(),
    )
    # uvicorn handles the signal and then raises it again for us: asked to end, we end with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    with ExitStack() as stack:
        try:
            stack.enter_context(served(metrics, settings.host, settings.metrics_port))
        except OSError as error:
            return _refuse("api", f"CRONWRIGHT_METRICS_PORT={settings.metrics_port}: {error.strerror}")
        try:
            server.run()
        except SystemExit as error:  # the port is taken; uvicorn has logged it
            return int(error.code or 0) if isinstance(error.code, int) else 1
    return 0 if server.started else 1


def token(argv: Sequence[str]) -> int:
    """Prints a signed token; 1 if there is no key for it, 2 for wrong options."""
    parser = argparse.ArgumentParser(
        prog="cronwright token", description="Prints a JWT for the REST API, signed with an HS256 key."
    )
    parser.add_argument(
        "--user", required=True, help="who the token speaks for (`sub`), the owner of the tasks made with it"
    )
    parser.add_argument("--admin", action="store_true", help="with the role of an administrator")
    parser.add_argument(
        "--ttl", type=parse_ttl, default=timedelta(hours=24), help="such as 30m, 24h, 7d or 3600 (seconds); default 24h"
    )
    parser.add_argument(
        "--kid", help="the key to sign with; default: the last by name, so that a newer name is the newer key"
    )
    parser.add_argument("--keys-dir", type=Path, default=_default_keys_dir(), help=f"default: ${KEYS_DIR}")
    options = parser.parse_args(argv)
    if options.keys_dir is None:
        return _refuse("token", _no_secrets())
    try:
        keys = {key.kid: key for key in load_secrets(options.keys_dir).current()}
        kid = options.kid or max(keys)
        if kid not in keys:
            return _refuse(
                "token", f"there is no key {kid!r} in {options.keys_dir}; there are: {', '.join(sorted(keys))}"
            )
        text = make_token(
            keys[kid],
            User(options.user, options.admin),
            now=datetime.now(UTC),
            ttl=options.ttl,
            audience=os.environ.get("CRONWRIGHT_JWT_AUDIENCE") or None,
            issuer=os.environ.get("CRONWRIGHT_JWT_ISSUER") or None,
            roles_claim=os.environ.get("CRONWRIGHT_JWT_ROLES_CLAIM") or ROLES_CLAIM,
            admin_role=os.environ.get("CRONWRIGHT_JWT_ADMIN_ROLE") or ADMIN_ROLE,
        )
    except (KeyRingError, ValueError, OverflowError) as error:
        return _refuse("token", str(error))
    sys.stdout.write(text + "\n")
    return 0


def openapi(argv: Sequence[str]) -> int:
    """Prints the OpenAPI document, without a server."""
    argparse.ArgumentParser(prog="cronwright openapi", description="Prints the OpenAPI document.").parse_args(argv)
    # No connection is made: the address is there because the settings want one.
    settings = ApiSettings.model_validate({"DATABASE_URL": "postgresql://127.0.0.1/none"})
    sys.stdout.write(json.dumps(create_app(settings).openapi(), ensure_ascii=False, indent=1) + "\n")
    return 0


def parse_ttl(text: str) -> timedelta:
    """`90`, `90s`, `30m`, `24h` or `7d`.

    Raises:
        argparse.ArgumentTypeError: anything else, or nothing at all.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30m, 24h or 7d")
    return int(match[1]) * timedelta(seconds={"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]])


def _check(settings: ApiSettings) -> None:
    """Everything that must be right before serving and will not mend itself; the database may come later."""
    files = key_files_of(settings)
    has_public_keys = settings.jwt_jwks_url is not None or settings.jwt_jwks_file is not None
    if has_public_keys and settings.jwt_audience is None:
        # A provider signs for all of its clients by the same keys; only `aud` says that a token is meant for us.
        logger.warning(
            "tokens that the provider signs for other services are accepted: CRONWRIGHT_JWT_AUDIENCE is not set"
        )
    logger.info("JWT keys read", extra={"kids": sorted(key.kid for source in files for key in source.current())})
    load_zone(settings.default_time_zone)
    parse_url(settings.database_url.get_secret_value())
    asyncio.run(load_configuration())  # the result is dropped: a client belongs to the server's own loop


def _default_keys_dir() -> Path | None:
    value = os.environ.get(KEYS_DIR)
    return Path(value) if value else None


def _no_secrets() -> str:
    if os.environ.get("CRONWRIGHT_JWT_JWKS_URL") or os.environ.get("CRONWRIGHT_JWT_JWKS_FILE"):
        return (
            "only public keys (a JWKS) are configured, and these cannot sign: get a token from their identity provider,"
            f" or give HS256 keys by --keys-dir or {KEYS_DIR}"
        )
    return f"give --keys-dir, or set {KEYS_DIR}"


def _settings_problem(error: ValidationError) -> str:
    # Only names and reasons: a value may be a password.
    problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False))
    return "wrong settings in the environment (CRONWRIGHT_*, DATABASE_URL): " + "; ".join(problems)


def _refuse(command: str, problem: str) -> int:
    sys.stderr.write(f"cronwright {command}: {problem}\n")
    return 1

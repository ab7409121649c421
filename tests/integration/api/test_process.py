"""`cronwright api` as a process: starts with the database away, serves when it comes, ends with 0 when asked to."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from support.api_process import ApiProcess, api_environment, api_process, make_token
from support.postgres import PostgresServer, migrate

TASKS = "/api/v1/scheduler/tasks"


def told(api: ApiProcess) -> list[dict[str, Any]]:
    """What the process said of a database that was away when it started."""
    return [line for line in api.entries if line["logger"] == "cronwright_api.first_contact"]


def test_the_life_of_a_process(tmp_path: Path, own_server: PostgresServer) -> None:
    environment = api_environment(tmp_path, own_server.url)
    made = make_token(environment, "--user", "root", "--admin")
    headers = {"Authorization": f"Bearer {made}"}
    own_server.stop()
    with api_process(environment, tmp_path / "log") as api:
        assert api.request("GET", "/readyz").status_code == 503
        assert api.status(made) == 503
        own_server.start()
        assert api.status(made) == 503, "an empty database is one that is not ready yet"
        migrate(own_server.url)
        assert api.request("GET", "/readyz").json()["status"] == "ok"
        assert api.request("GET", TASKS, headers=headers).json()["total"] == 0
        body = {"name": "p", "image": "busybox"}
        created = api.request("POST", "/api/v1/scheduler/projects", headers=headers, json=body)
        assert (created.status_code, created.json()["code"]) == (503, 503), "the API server is away"
        assert api.request("GET", "/openapi.json").json()["openapi"].startswith("3.")
        deadline = time.monotonic() + 20
        while told(api)[-1]["message"] != "the database answers":
            assert time.monotonic() < deadline, api.log
            time.sleep(0.1)
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(timeout=20) == 0
    assert "DATABASE_URL" in told(api)[0]["message"]
    assert own_server.url not in api.log
    assert {"cronwright_api.access"} <= {line["logger"] for line in api.entries}
    assert "Traceback" not in api.log
    assert made not in api.log

"""How API and database are reached from this machine, and with what: addresses, tokens, `.local/env`."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.parse

from cluster.errors import ClusterError
from up import forwarding
from up.commands import read_pairs
from up.kubectl import SYSTEM, Kubectl
from up.rest import Rest
from up.target import API_NODE_PORT, DATABASE_NODE_PORT, LOCAL, Target

ENV_FILE = LOCAL / "env"
TOKEN_HOURS = 24 * 30
# A token that ends sooner than this is made anew.
MARGIN_SECONDS = 12 * 3600
EXEC_SECONDS = 60
USERS = {
    "CRONWRIGHT_ADMIN_TOKEN": ("admin", True),
    "CRONWRIGHT_USER_TOKEN": ("alice", False),
    "CRONWRIGHT_OTHER_TOKEN": ("bob", False),
}


def open_ports(target: Target, kubectl: Kubectl) -> tuple[str, str]:
    """The addresses of the API and of the database on 127.0.0.1."""
    if target.has_node_ports:
        api, database = API_NODE_PORT, DATABASE_NODE_PORT
    else:
        api = forwarding.ensure(kubectl, SYSTEM, "service/cronwright-api", 80)
        database = forwarding.ensure(kubectl, SYSTEM, "service/cronwright-postgresql", 5432)
    secret = kubectl.get("-n", SYSTEM, "secret", "cronwright-postgresql") or {"data": {"url": ""}}
    inside = urllib.parse.urlsplit(base64.b64decode(secret["data"]["url"]).decode())
    outside = inside._replace(netloc=f"{inside.username}:{inside.password}@127.0.0.1:{database}")
    return f"http://127.0.0.1:{api}", outside.geturl()


def ensure_tokens(kubectl: Kubectl, url: str) -> tuple[dict[str, str], int]:
    """A token for each of the demo's users, and how many were made: those of before are kept while they are good."""
    before = read_env()
    tokens: dict[str, str] = {}
    made = 0
    for variable, (user, admin) in USERS.items():
        token = before.get(variable, "")
        if not (_lasts(token) and Rest(url, token).call("GET", "/tasks?size=1").status == 200):
            token = _make_token(kubectl, user, admin)
            made += 1
        tokens[variable] = token
    return tokens, made


def _make_token(kubectl: Kubectl, user: str, admin: bool) -> str:
    """A token from the release's own key. A Pod that was ready may be replaced in that moment: it is asked again."""
    options = ["--admin"] if admin else []
    command = ["cronwright", "token", "--user", user, "--ttl", f"{TOKEN_HOURS}h", *options]
    end = time.monotonic() + EXEC_SECONDS
    while True:
        try:
            said = kubectl("-n", SYSTEM, "exec", "deploy/cronwright-api", "-c", "api", "--", *command)
            return said.strip().splitlines()[-1]
        except ClusterError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def write_env(pairs: dict[str, str]) -> None:
    """Write .local/env, readable by its owner alone: it holds tokens and the database's password."""
    LOCAL.mkdir(exist_ok=True)
    temporary = ENV_FILE.with_name(f"env.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{key}={value}\n" for key, value in pairs.items()))
    temporary.replace(ENV_FILE)


def read_env() -> dict[str, str]:
    """What the last `make up` wrote."""
    return read_pairs(ENV_FILE.read_text()) if ENV_FILE.exists() else {}


def _lasts(token: str) -> bool:
    """Whether a token is one, and ends late enough."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) > time.time() + MARGIN_SECONDS
    except (IndexError, ValueError, KeyError, TypeError):
        return False

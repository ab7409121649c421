"""What the tests stand on: `.venv` from the lock file, and the binaries of a PostgreSQL server."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from cluster.console import step
from up.commands import ROOT, failure, run

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
_STAMP = VENV / ".cronwright-stamp"
_SOURCES = ("core", "api", "operator", "tests/support")
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Kept beside the sources even where the shell says otherwise: each worker of each part would compile product and tests
again, seconds every time. In a folder of its own (PYTHONPYCACHEPREFIX) that of the installed packages, which pip has
compiled, would be looked for in vain."""
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def make_environment() -> str:
    """Make `.venv` from requirements-dev.lock, with the project installed in place; at once when nothing changed.

    Returns what was done. Raises Failure when Python is too old or the installation fails.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - this runs before any environment is chosen
        raise failure(
            f"Python {sys.version.split()[0]} is too old", "Run with Python 3.11 or later: make PYTHON=python3.11 test"
        )
    wanted = _fingerprint()
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
        return "unchanged"
    with step("virtual environment .venv"):
        if not PYTHON.exists():
            run([sys.executable, "-m", "venv", VENV], todo="Install the venv module: apt-get install python3-venv")
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with step("locked dependencies"):
        run(
            [*pip, "--require-hashes", "-r", "requirements-dev.lock"],
            timeout_seconds=1800,
            todo="Look whether the package registry is reached (pip's settings, proxy, certificates).",
        )
    with step("the project, in place"):
        run([*pip, "--no-deps", "--no-build-isolation", "-e", "."])
        # Else the unit tests of a fresh clone, which are to take seconds, would begin with it.
        run([PYTHON, "-m", "compileall", "-q", "-j", "0", *_SOURCES])
    _STAMP.write_text(wanted)
    return "installed"


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements-dev.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    # An editable install points to this folder: a copied .venv must not pass for one of our own.
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def make_postgresql() -> str:
    """Find the binaries of a PostgreSQL server, or install Debian's; the tests start servers of their own from them.

    Returns where they are. Raises Failure when they are missing and cannot be installed.
    """
    if os.environ.get("CRONWRIGHT_TEST_DATABASE_URL"):
        return "CRONWRIGHT_TEST_DATABASE_URL"
    found = _server_binaries()
    if found is None:
        _install_postgresql()
        found = _server_binaries()
    if found is None:
        raise failure("PostgreSQL was installed, but initdb is neither on PATH nor in /usr/lib/postgresql")
    return str(found)


def _server_binaries() -> Path | None:
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


def _install_postgresql() -> None:
    todo = (
        "Install a PostgreSQL 15 or later (Debian: sudo apt-get install postgresql), or set "
        "CRONWRIGHT_TEST_DATABASE_URL to a server on which the tests may create databases."
    )
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise failure("no PostgreSQL server binaries are installed", todo)
    apt = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    with step("Debian's PostgreSQL"):
        run(["apt-get", "update", "--quiet"], env=apt, todo=todo)
        run([*install, "postgresql-common"], env=apt, todo=todo)
        # Only the binaries are wanted: no cluster is made, and no server is started beside the tests' own.
        if _CREATE_CLUSTER.exists():
            text = _CREATE_CLUSTER.read_text()
            _CREATE_CLUSTER.write_text(text + "\n# set by Cronwright's `make test`\ncreate_main_cluster = false\n")
        run([*install, "postgresql"], env=apt, todo=todo)

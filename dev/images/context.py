"""What goes into an image: a copy of the files that its Dockerfile names, and the hash of them that becomes the
image's tag.

The copy is taken first and hashed and built afterwards, so that a file saved during the build cannot hide behind a tag.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError

IGNORED = ("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache", ".pytest_cache")


def find_copied_paths(dockerfile: str) -> list[str]:
    """The paths of the context that COPY and ADD instructions name, in order; those that copy from another stage are
    not of it.
    """
    joined = dockerfile.replace("\\\n", " ")
    paths: list[str] = []
    for line in joined.splitlines():
        words = line.split()
        if not words or words[0].upper() not in ("COPY", "ADD"):
            continue
        options = [word for word in words[1:] if word.startswith("--")]
        if any(option.startswith("--from=") for option in options):
            continue
        rest = " ".join(word for word in words[1:] if not word.startswith("--"))
        sources = json.loads(rest)[:-1] if rest.startswith("[") else rest.split()[:-1]
        paths += [source.strip("/") for source in sources]
    return list(dict.fromkeys(paths))


def copy_context(context: Path, dockerfile: Path, destination: Path) -> None:
    """Copies what the Dockerfile names, and itself as `Dockerfile`.

    Raises ClusterError for a path that is not there.
    """
    text = dockerfile.read_text()
    destination.mkdir(parents=True, exist_ok=True)
    for pattern in find_copied_paths(text):
        found = sorted(context.glob(pattern)) if pattern not in ("", ".") else sorted(context.iterdir())
        if not found:
            raise ClusterError(f"{dockerfile} copies {pattern}, which is not in {context}")
        for source in found:
            target = destination / source.relative_to(context)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(
                    source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*IGNORED)
                )
            else:
                shutil.copy2(source, target)
    (destination / "Dockerfile").write_text(text)


def compute_tag(folder: Path, arguments: Mapping[str, str]) -> str:
    """A short hash of every file in the folder (name, executable bit, content) and of the build arguments."""
    digest = hashlib.sha256(json.dumps(sorted(arguments.items())).encode())
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            digest.update(f"\0link {name} {path.readlink()}".encode())
        elif path.is_file():
            digest.update(f"\0file {name} {bool(path.stat().st_mode & 0o100)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]

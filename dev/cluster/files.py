"""Files that running components watch: written whole or not at all, and only when their content changes."""

from __future__ import annotations

import os
from pathlib import Path


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """Makes the file hold exactly this text; answers whether it was written. kube-proxy, for one, ends at any write
    to its file.
    """
    try:
        if path.read_text() == text:
            return False
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    # Made with its final mode, so that a secret is never readable, not even for a moment.
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as output:
        output.write(text)
    temporary.rename(path)
    return True

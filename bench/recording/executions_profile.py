"""The operator under cProfile: `executions_profile.py FILE`, which is written when it ends."""

from __future__ import annotations

import cProfile
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("core", "api", "operator")]

from cronwright_core.cli import main  # noqa: E402

if __name__ == "__main__":
    profile = cProfile.Profile()
    sys.argv, target = ["cronwright", "operator"], sys.argv[1]
    try:
        profile.runcall(main)
    finally:
        profile.dump_stats(target)

"""`python3 dev/testrun [PART ...]`: run the tests, part by part, from nothing.

Without a part it runs all but `outage`, which takes an hour and is run by its name. It stops at the first part that
fails, names it, and always ends with a table of the time that each took. Standard library only: the environment that
the tests need is the first thing that it makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The development programs import each other from here: `cluster`, `images`, `testrun`, `up`.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from cluster.console import say  # noqa: E402 - the path has to stand first
from cluster.errors import ClusterError  # noqa: E402
from testrun import parts, results  # noqa: E402
from up.commands import report  # noqa: E402


def main(arguments: list[str]) -> int:
    """Run the named parts (all of them without a name) with what they need; return the exit code."""
    known = [part.name for part in parts.ALL]
    unknown = [name for name in arguments if name not in known]
    if unknown:
        say(f"no part {', '.join(unknown)}; there is: {', '.join(known)}")
        return 2
    table = results.Table()
    background = parts.Background()
    try:
        usual = [part.name for part in parts.ALL if not part.by_name_only]
        ordered, done = parts.needed(arguments or usual), set[str]()
        for part in ordered:
            parts.begin_aside(ordered, done, background)
            say(f"\n== {part.name}: {part.what}")
            with table.timed(part.name) as row:
                row.note = part.run(background) or ""
            done.add(part.name)
    except ClusterError as error:
        report(error)
    except KeyboardInterrupt:
        say("\nstopped")
    finally:
        background.end()
    table.show()
    return 0 if table.passed else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

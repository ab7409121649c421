"""`helm test`: asks API and operator through their Services. Reads only; run by the image's own Python.

Arguments: the addresses of API and operator, without a path.
"""

import json
import sys
import time
import urllib.error
import urllib.request

SECONDS = 60
"""For Pods that are just starting; an installation that is up answers at once."""


def ask(address: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - http addresses of the chart
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def main(api: str, operator: str) -> int:
    # The last one shows that requests reach the API itself, and that nobody is let in without a token.
    wanted = {
        f"{api}/healthz": 200,
        f"{api}/readyz": 200,
        f"{operator}/healthz": 200,
        f"{operator}/readyz": 200,
        f"{api}/api/v1/scheduler/tasks": 401,
    }
    end = time.monotonic() + SECONDS
    failed = 0
    for address, status in wanted.items():
        while True:
            try:
                found, body = ask(address)
            except (OSError, ValueError) as error:
                found, body = 0, str(error)
            if found == status or time.monotonic() > end:
                break
            time.sleep(1)
        outcome = "ok    " if found == status else "FAILED"
        sys.stdout.write(f"{outcome} {address}: {found}, wanted {status}: {body}\n")
        failed += found != status
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

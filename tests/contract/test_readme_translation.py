"""The Chinese README says what the English one says: the same headings in the same order, the same commands, the same
rows and links. Words it may choose."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
_DRAWING = "─"


def levels(text: str) -> list[str]:
    return re.findall(r"^(#+) ", text, re.M)


def commands(text: str) -> list[str]:
    """The indented lines, without their remarks and without drawings."""
    lines = re.findall(r"^    (.*)$", text, re.M)
    return [re.sub(r"\s+# .*$", "", line).rstrip() for line in lines if _DRAWING not in line]


def endpoints(text: str) -> list[tuple[str, str, str]]:
    """Number, endpoint and example of each row."""
    return re.findall(r"^\| ([+0-9]+) \| (`[A-Z]+ [^`]+`) \| .+ \| (`.+`) \|$", text, re.M)


def targets(text: str) -> list[str]:
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README")]


def test_the_structure_is_the_same() -> None:
    assert levels(CHINESE) == levels(ENGLISH)
    assert CHINESE.count("\n- **") == ENGLISH.count("\n- **")


def test_the_commands_are_the_same() -> None:
    assert commands(CHINESE) == commands(ENGLISH)
    assert len(endpoints(ENGLISH)) > 20
    assert endpoints(CHINESE) == endpoints(ENGLISH)


def test_the_links_are_the_same_and_lead_somewhere() -> None:
    assert targets(CHINESE) == targets(ENGLISH)
    for target in targets(ENGLISH):
        assert (ROOT / target.split("#")[0]).exists(), target

"""The packet filter rules that Kubernetes and the CNI plugins make: found by their chains' names, removed without
touching others.
"""

from __future__ import annotations

import re
import subprocess

OUR_CHAIN = re.compile(r"(KUBE-|CNI-)")
TOOLS = ("iptables", "ip6tables")


def find_our_lines(dump: str) -> dict[str, tuple[list[str], list[str]]]:
    """Reads `iptables-save`: for each table our chains, and the rules of foreign chains that lead into ours."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    chains: list[str] = []
    rules: list[str] = []
    for line in dump.splitlines():
        if line.startswith("*"):
            chains, rules = [], []
            found[line[1:].strip()] = (chains, rules)
        elif line.startswith(":") and OUR_CHAIN.match(line[1:]):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A "):
            chain = line.split()[1]
            target = re.search(r" -[jg] (\S+)", line)
            if not OUR_CHAIN.match(chain) and target and OUR_CHAIN.match(target[1]):
                rules.append(line)
    return {table: lines for table, lines in found.items() if lines[0] or lines[1]}


def build_removal(found: dict[str, tuple[list[str], list[str]]]) -> str:
    """Input for `iptables-restore --noflush` that removes what `find_our_lines` found, one transaction a table."""
    lines: list[str] = []
    for table, (chains, rules) in found.items():
        lines.append(f"*{table}")
        lines += [f"-D {rule[3:]}" for rule in rules]
        # All are emptied before the first is removed: they refer to each other.
        lines += [f"-F {chain}" for chain in chains]
        lines += [f"-X {chain}" for chain in chains]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def list_our_rules() -> list[str]:
    """What is there of ours now, one text each, for the report of leftovers."""
    texts = []
    for tool in TOOLS:
        for table, (chains, rules) in find_our_lines(_save(tool)).items():
            texts += [f"{tool} table {table}: {text}" for text in (*chains, *rules)]
    return texts


def remove_our_rules() -> None:
    """Removes every chain of ours and the rules leading there, for both address families.

    Foreign rules stay as they are.
    """
    for tool in TOOLS:
        removal = build_removal(find_our_lines(_save(tool)))
        if removal:
            # A failure shows itself in list_our_rules, which is asked after every `down`.
            subprocess.run([f"{tool}-restore", "--noflush", "-w", "5"], input=removal, text=True, capture_output=True)


def _save(tool: str) -> str:
    try:
        return subprocess.run([f"{tool}-save"], capture_output=True, text=True).stdout
    except OSError:
        return ""

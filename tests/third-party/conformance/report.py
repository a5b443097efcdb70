"""How tests ended, as a list for people."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = ["failed", "cannot run here", "not run", "skipped", "passed"]
# Longest reason in the list, characters.
REASON = 240


@dataclass
class End:
    """How one test ended."""

    name: str
    state: str
    seconds: float = 0.0
    why: str = ""


def excluded() -> dict[str, list[str]]:
    """Reasons why tests cannot run here, and parts of the names of those tests."""
    return json.loads((HERE / "excluded.json").read_text())


def failing() -> dict[str, str]:
    """Tests that are known to fail, and why."""
    return json.loads((HERE / "failing.json").read_text())


def ends(specs: list[dict], focus: str) -> list[End]:
    """What became of each test that `focus` names. Ginkgo lists a test in each run; what it ran counts."""
    found: dict[str, End] = {}
    for spec in specs:
        name = " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])
        if re.search(focus, name):
            end = of(name, spec)
            known = found.get(name)
            if known is None or known.state in ("not run", "cannot run here"):
                found[name] = end
    return sorted(found.values(), key=lambda end: (ORDER.index(end.state), end.name))


def of(name: str, spec: dict) -> End:
    state, message = spec["State"], (spec.get("Failure") or {}).get("Message", "")
    seconds = spec.get("RunTime", 0) / 1e9
    why = " ".join(message.split())[:REASON]
    if state == "passed":
        return End(name, "passed", seconds)
    for reason, parts in excluded().items():
        if any(part in name for part in parts):
            return End(name, "cannot run here", 0.0, reason)
    if state == "skipped" and message:
        return End(name, "skipped", seconds, why)
    if state in ("skipped", "pending"):
        return End(name, "not run", 0.0, "the time was over")
    if state in ("interrupted", "aborted") or why.startswith("A suite timeout occurred"):
        return End(name, "not run", seconds, "the time was over")
    return End(name, "failed", seconds, why or state)


def markdown(all_ends: list[End], version: str) -> str:
    count = Counter(end.state for end in all_ends)
    known = failing()
    lines = [
        "# Conformance tests of Kubernetes",
        "",
        f"Written by `make conformance`; Kubernetes {version}, one node. How the tests are run, and what their images are made of, "
        "is in [README.md](README.md).",
        "",
        "| " + " | ".join(ORDER) + " |",
        "|" + "---:|" * len(ORDER),
        "| " + " | ".join(str(count[state]) for state in ORDER) + " |",
    ]
    for state in ORDER:
        chosen = [end for end in all_ends if end.state == state]
        if not chosen:
            continue
        lines += ["", f"## {state.capitalize()}", "", "| test | s | why |", "|---|---:|---|"]
        for end in chosen:
            why = known.get(end.name, end.why).replace("|", "\\|")
            lines.append(f"| {end.name.replace('|', chr(92) + '|')} | {end.seconds:.0f} | {why} |")
    return "\n".join(lines) + "\n"

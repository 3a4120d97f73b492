"""Draws the state diagram of the README from the code: `python .ci/diagram.py` prints it, `--write` puts it there."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared.contracts.states import BEGINNINGS, EDGES, TERMINAL, RunState  # noqa: E402 - the root is on the path first

BEGIN, END = "<!-- states: made by .ci/diagram.py -->\n", "<!-- end of states -->"


def diagram() -> str:
    """Mermaid text. The two ends that every open state has are said in words below it."""
    ends = {RunState.CANCELLED, RunState.QUARANTINED}
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", *(f"    [*] --> {state}" for state in BEGINNINGS)]
    lines += [
        f"    {source} --> {target}"
        for source, targets in EDGES.items()
        for target in sorted(targets - ends, key=list(RunState).index)
    ]
    lines += [f"    {state} --> [*]" for state in RunState if state in TERMINAL - ends]
    lines += ["```", "", "Every state that is not an end can also go to `cancelled` or `quarantined`.", ""]
    return "\n".join(lines)


def main() -> None:
    """Print, or write into the README."""
    readme = ROOT / "README.md"
    if "--write" not in sys.argv:
        print(diagram())
        return
    before, _, rest = readme.read_text().partition(BEGIN)
    _old, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}{diagram()}{END}{after}")


if __name__ == "__main__":
    main()

"""Writes the phase diagram into ARCHITECTURE.md, from the table the code runs on.

python docs/phase_diagram.py            # write
python docs/phase_diagram.py --check    # exit 1 if what stands there is not what the table says
"""

import sys
from collections import defaultdict
from pathlib import Path

from smtpx.protocol.phases import TABLE, Phase
from smtpx.wire.codes import Severity

TARGET = Path(__file__).parent.parent / "ARCHITECTURE.md"
BEGIN = "<!-- phases: made by docs/phase_diagram.py -->"
END = "<!-- end of phases -->"
SHOWN = {Severity.COMPLETED: "2yz", Severity.CONTINUE: "3yz"}
HELLO = {"EHLO", "HELO", "LHLO"}


def diagram() -> str:
    """The table as a Mermaid state diagram. Refusals that change nothing are left out, and so are NOOP and its kin."""
    arrows: dict[tuple[Phase, Phase], list[str]] = defaultdict(list)
    for (phase, command), row in TABLE.items():
        for severity, target in row.items():
            if target is phase and severity not in SHOWN:
                continue
            if target is phase and command in {"NOOP", "VRFY", "EXPN", "HELP", "RSET"}:
                continue
            label = "hello" if command in HELLO else command
            text = label if severity is Severity.COMPLETED else f"{label} {SHOWN.get(severity, 'refused')}"
            if text not in arrows[phase, target]:
                arrows[phase, target].append(text)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.BANNER.name}"]
    lines += [f"    {a.name} --> {b.name}: {', '.join(texts)}" for (a, b), texts in arrows.items()]
    lines.append(f"    {Phase.CLOSED.name} --> [*]")
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def table() -> str:
    """The table itself: what may come in which phase."""
    commands = list(dict.fromkeys(command for _, command in TABLE))
    lines = ["| in phase | may come |", "|---|---|"]
    for phase in Phase:
        allowed = [command for command in commands if (phase, command) in TABLE]
        lines.append(f"| {phase.name} | {', '.join(allowed) or 'nothing'} |")
    return "\n".join(lines)


def expected(text: str) -> str:
    """`text` with the part between the marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{diagram()}\n\n{table()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write or check."""
    text = TARGET.read_text(encoding="utf-8")
    wanted = expected(text)
    if arguments == ["--check"]:
        return int(text != wanted)
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

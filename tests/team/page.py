"""The commands of docs/team.md."""

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "team.md"


def commands(section: str) -> list[str]:
    """The lines of a section's blocks of commands."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for line in block.splitlines()
    ]

"""Every command of docs/publish.md, run in a finished study in the order of the page."""

import os
import re
import subprocess
import sys
from pathlib import Path

from src.bundle import layout, page
from tests.conftest import ROOT
from tests.test_commands import options_of


def commands(page: str) -> list[str]:
    """The lines of the page's blocks of commands."""
    return [
        line for block in re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for line in block.splitlines()
    ]


def test_the_page_s_commands_do_what_it_says(study: Path) -> None:
    text = (ROOT / "docs" / "publish.md").read_text(encoding="utf-8")
    lines = commands(text)
    assert len(lines) == 8
    assert lines[7] == f"cd bundle && {page.CHECK_FILES}"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "160"}
    environment.pop("PYTHONPATH", None)
    printed = []
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=study,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        printed.append(done.stdout)
    assert "unsigned: sign it with --key" in printed[0]
    assert ", signed." in printed[5]
    assert "Verification succeeded" in printed[6]
    assert printed[7] == "every file is as listed\n"
    assert (study / "bundle" / layout.SIGNATURE).is_file()


def test_the_page_names_every_option() -> None:
    text = (ROOT / "docs" / "publish.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)) == options_of("src.bundle") - {"--help"}

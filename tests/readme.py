"""Write the README's output and docs/demo-figures.json from a finished demo study.

    python -m tests.readme

Run it in a checkout whose `dvc repro` has nothing to do, and commit what it writes with dvc.lock.
tests/test_readme.py finds out when somebody forgot.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from src import reproduced
from src.base import provenance

README = Path("README.md")
BEGIN = "```\n$ source .venv/bin/activate\n$ python -m src.compare --steps 20 15000\n"
BLOCK = re.compile(re.escape(BEGIN) + r"(.*?)```\n", re.DOTALL)


def made_from(lock: dict[str, Any]) -> dict[str, str]:
    """What the output depends on: MD5 of the measures and of the code that words them, as dvc.lock has them."""
    stage = lock["stages"]["compare"]
    wanted = ("metrics/evaluate.json", "metrics/clips.json", "src/compare")
    return {item["path"]: item["md5"] for item in stage["deps"] if item["path"] in wanted}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    command = [sys.executable, "-m", "src.compare", "--steps", "20", "15000"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    output = "\n".join(line.rstrip() for line in output.splitlines()) + "\n"
    text, count = BLOCK.subn(lambda _: f"{BEGIN}{output}```\n", README.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{README} has {count} blocks that begin with the command; one was expected.")
    README.write_text(text, encoding="utf-8")
    machine = provenance.describe()
    found = {
        "made_from": made_from(yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))),
        "output_sha256": sha256(output),
        "made_on": {name: machine[name] for name in reproduced.DECIDES},
        "figures": json.loads(reproduced.SUMMARY.read_text(encoding="utf-8")),
    }
    reproduced.FIGURES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The commands and options of docs/audit.md."""

import contextlib
import re
import shlex
import shutil
from pathlib import Path

from typer.testing import CliRunner

from src.audit.__main__ import app
from src.bundle import signing
from tests.conftest import ROOT, StudyFolder
from tests.test_commands import options_of

PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_the_page_s_commands_do_what_it_says(
    finished: StudyFolder, published: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(finished.root, study)
    shutil.copytree(published, study / "bundle")
    signing.sign(study / "bundle", keys["owner.pem"])
    shutil.make_archive(str(study / "bundle"), "zip", study / "bundle")
    shutil.copy(keys["owner.pub"], study / "public.pem")
    (block,) = re.findall(r"^```\n(python -m src\.audit\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = block.splitlines()
    assert len(lines) == 3
    with contextlib.chdir(study):
        for line in lines:
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "src.audit"]
            done = CliRunner().invoke(app, words[3:])
            assert done.exit_code == 0, f"{line}\n{done.output}"


def test_the_page_names_every_option_and_every_check() -> None:
    assert set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE)) == options_of("src.audit") - {"--help"}
    for kind in ("signature", "the run's fingerprint", "training done again", "bits per sample of held-out songs"):
        assert re.search(rf"^\| {kind} \|", PAGE, re.MULTILINE)

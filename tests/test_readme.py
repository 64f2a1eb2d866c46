"""What the README shows is what the program printed, of the study that dvc.lock records."""

import json

import yaml

from src import reproduced
from tests import readme
from tests.conftest import ROOT


def test_the_readme_shows_the_output_of_the_recorded_study() -> None:
    shown = readme.BLOCK.findall((ROOT / readme.README).read_text(encoding="utf-8"))
    published = json.loads((ROOT / reproduced.FIGURES).read_text(encoding="utf-8"))
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    again = "Renew it: dvc repro && python -m tests.readme"
    assert [readme.sha256(text) for text in shown] == [published["output_sha256"]], again
    assert published["made_from"] == readme.made_from(lock), again
    assert len(published["made_from"]) == 3
    assert max(len(line) for line in shown[0].splitlines()) <= 80

"""The page's file: nothing foreign in it is believed, nothing in it leads outside, it stays small."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from src.base import files
from src.compare import clipviews, comparison, figures, gathering, page
from src.compare.comparison import Comparison
from src.record import layout
from tests.compare import tiny_run

PLANTED = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
STEPS = (20, 300)


def written(root: Path, compared: Comparison | None = None, **options: Any) -> tuple[Path, str]:
    """Write the page of a project; its folder and text."""
    compared = compared or gathering.gather([layout.current(root)], STEPS)
    options = {"made": "2026-11-22T10:00:00+00:00", "command": "python -m src.compare", "listening": None, **options}
    page.write(root / "reports" / "page", compared, **options)
    return root / "reports" / "page", (root / "reports" / "page" / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up project; figures are drawn in a test of their own."""
    monkeypatch.setattr(figures, "all_drawings", lambda _: {})
    return tiny_run.make(tmp_path / "project", duration_s=0.2)


class Tags(HTMLParser):
    """Collects all tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        self.found.append((tag, dict(attrs)))


def test_planted_text_stays_text(project: Path) -> None:
    evaluated = files.read_json(project / "metrics" / "evaluate.json", made_by="")
    evaluated["sentences"] = [PLANTED]
    evaluated["why"] = {"sound": PLANTED}
    for by_genre in evaluated["steps"].values():
        by_genre["rock"]["measures"][PLANTED] = tiny_run.measure(1.0, 0.1, PLANTED)
    generation = project / "generations" / "step-20" / "generation.json"
    content = files.read_json(generation, made_by="")
    for clip in content["clips"]:
        clip["genre"] = PLANTED if clip["genre"] == "rock" else clip["genre"]
    files.write_json(generation, content)
    files.write_json(project / "metrics" / "evaluate.json", evaluated)
    _, text = written(project, command=f"python {PLANTED}")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    tags = Tags(text).found
    assert [tag for tag, _ in tags].count("script") == 3  # two blocks of data and the page's own
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_the_data_blocks_are_json_and_cannot_end_early(project: Path) -> None:
    _, text = written(project)
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)
    assert len(blocks) == 2
    through, blind = map(json.loads, blocks)
    assert [clip["step"] for clip in through["genres"][0]["clips"]] == list(tiny_run.STEPS)
    assert [clip["step"] for clip in blind["genres"][0]["clips"]] == list(STEPS)
    assert all("<" not in block for block in blocks)


def test_every_address_is_a_file_of_the_folder(project: Path) -> None:
    folder, text = written(project)
    addresses = [
        attributes.get(name) or ""
        for tag, attributes in Tags(text).found
        for name in ("src", "href", "srcset")
        if name in attributes
    ]
    assert len(addresses) > 20
    for address in addresses:
        if not address.startswith("#"):
            assert re.fullmatch(r"[\w./-]+", address)
            assert (folder / address).is_file()


def test_the_policy_names_the_script_and_the_style_by_their_hash(project: Path) -> None:
    _, text = written(project)
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Tags(text).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        inline = re.findall(rf"<{element}>(.*?)</{element}>", text, re.S)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert ' style="' not in text, "the policy would stop it"


def test_the_same_comparison_gives_the_same_page(project: Path) -> None:
    folder, _ = written(project)
    first = {path.name: files.sha256_of(path) for path in folder.rglob("*") if path.is_file()}
    written(project)
    assert {path.name: files.sha256_of(path) for path in folder.rglob("*") if path.is_file()} == first


def test_wavs_are_left_out_first_when_there_is_no_room(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, text = written(project)
    assert len(list((folder / "audio").glob("*.wav"))) == len(STEPS) * len(tiny_run.GENRES)
    counted = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".wav", ".html")]
    together = sum(path.stat().st_size for path in counted)
    monkeypatch.setattr(clipviews, "LARGEST_BYTES", together)
    folder, text = written(project)
    assert not list((folder / "audio").glob("*.wav"))
    assert "The wav files were left out" in text
    monkeypatch.setattr(clipviews, "LARGEST_BYTES", 0)
    folder, text = written(project)
    assert len(list((folder / "audio").iterdir())) == len(STEPS) * len(tiny_run.GENRES)
    assert "2 further steps with audio had no room here" in text


def test_a_silent_clip_is_said(project: Path) -> None:
    soundfile.write(project / "generations" / "step-300" / "rock.wav", np.zeros(3200), 16000, subtype="PCM_16")
    _, text = written(project)
    assert text.count("This clip is silent.") == 1


def test_a_wav_that_was_changed_is_said(project: Path) -> None:
    wav = project / "generations" / "step-300" / "rock.wav"
    content = bytearray(wav.read_bytes())
    content[1000] ^= 1
    wav.write_bytes(content)
    _, text = written(project)
    assert text.count("This file is not the one that was generated") == 1


def test_a_file_name_cannot_lead_outside(project: Path) -> None:
    generation = project / "generations" / "step-300" / "generation.json"
    content = files.read_json(generation, made_by="")
    content["clips"][0]["file"] = "../../metrics/evaluate.json"
    files.write_json(generation, content)
    compared = gathering.gather([layout.current(project)], STEPS)
    assert any("names a file outside its folder" in note for note in compared.notes)
    _, text = written(project, compared)
    assert text.count("There is no clip of") == len(tiny_run.GENRES)


def test_one_clip_alone_has_no_slider_and_no_blind_mode(project: Path) -> None:
    compared = gathering.gather([layout.current(project)], [20])
    lone = Comparison(compared.steps, compared.genres, (clipped(compared.run),), compared.notes)
    _, text = written(project, lone)
    assert 'id="through"' not in text
    assert 'id="blind"' not in text


def clipped(run: comparison.Run) -> comparison.Run:
    """The run with the clips of step 20 only."""
    return comparison.Run(
        **{**vars(run), "clips": tuple(clip for clip in run.clips if clip.step == 20), "generated": (20,)}
    )

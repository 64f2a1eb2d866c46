"""The page's file: nothing foreign in it is believed, nothing in it leads outside, it stays small."""

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from src.base import files
from src.clips import clipset
from src.compare import clipviews, comparison, gathering, page, songs, webmushra
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
def project(tmp_path: Path) -> Path:
    """A made-up project."""
    return tiny_run.make(tmp_path / "project", duration_s=0.2)


class Tags(HTMLParser):
    """Collects all tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.labels: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        self.found.append((tag, dict(attrs)))
        self.labels += [value for name, value in attrs if name in ("data-label", "aria-label")]


def test_planted_text_stays_text(project: Path) -> None:
    evaluated = files.read_json(project / "metrics" / "evaluate.json", made_by="")
    evaluated["why"] = {"sound": PLANTED}
    figure = {"value": 1.0, "lo": 0.9, "hi": 1.1, "n": 9, "over": "clips", "unit": PLANTED}
    for by_genre in evaluated["steps"].values():
        by_genre["rock"][PLANTED] = figure
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
    assert [clip["heading"] for clip in through["genres"][0]["clips"]] == [f"step {step}" for step in tiny_run.STEPS]
    assert [clip["stimulus"] for clip in blind["genres"][0]["clips"]] == ["step-20", "step-300", "noise"]
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


def test_what_has_no_room_is_left_out_and_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, text = written(project)
    genres = len(tiny_run.GENRES)
    assert len(list((folder / "audio").glob("*.mp3"))) == len(tiny_run.STEPS) * genres + 1
    assert "no room" not in text
    monkeypatch.setattr(clipviews, "LARGEST_BYTES", 25_000)
    folder, text = written(project)
    assert len(list((folder / "audio").iterdir())) == len(STEPS) * genres + 1
    assert "2 further steps with audio had no room here" in text
    monkeypatch.setattr(clipviews, "LARGEST_BYTES", 11_000)
    folder, text = written(project)
    assert "it has the first 52 % of each clip" in text
    lengths = {soundfile.info(path).duration for path in (folder / "audio").iterdir()}
    assert max(lengths) == pytest.approx(0.2 * 0.52, abs=0.005)


def test_ten_clips_a_genre_are_one_on_the_page(project: Path) -> None:
    folder = project / "generations" / "step-300"
    generation = files.read_json(folder / "generation.json", made_by="")
    more = [{**clip, "clip": 2, "file": f"second-{clip['file']}"} for clip in generation["clips"]]
    files.write_json(folder / "generation.json", {**generation, "clips": [*more, *generation["clips"]]})
    _, text = written(project)
    assert "Each step made 2 clips of 0.200 s for every genre. The first of them is here" in text
    assert "second-" not in text


def clips_of_songs(project: Path) -> None:
    """data/clips/ with a held-out song of rock, and the record of a composed library, as old as the clips."""
    folder = project / "data" / "clips"
    (folder / "rock").mkdir(parents=True)
    samples = (np.sin(np.arange(16000) / 9) * 9000).astype(np.int16)
    soundfile.write(folder / "rock" / "a.flac", samples, 16000, subtype="PCM_16")
    row = clipset.ClipRow("rock/a.flac", "rock", "validation", 16000, -11.0, -14.0, clipset.samples_digest(samples))
    files.write_json(project / "data" / "library.json", {"kind": "demo"})
    clipset.write_table(folder / clipset.TABLE, [row])


def test_songs_are_heard_only_where_they_may_be(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    clips_of_songs(project)
    folder, text = written(project)
    assert songs.COMPOSED in text
    assert "Among them are the steps, a noise and a held-out song." in text
    assert (folder / "audio" / "song-4-rock.mp3").is_file()
    assert text.count('data-label="rock, held-out song"') == 1
    files.write_json(project / "data" / "library.json", {"kind": "own"})
    folder, text = written(project)
    assert songs.PRIVATE in text
    assert "Among them are the steps and a noise." in text
    assert "on one that is not, <code>--with-songs</code> lets a held-out song of each genre be heard." in text
    assert not list((folder / "audio").glob("song*"))
    assert "held-out song" not in Tags(text).labels


def test_webmushra_gets_the_song_as_reference_where_it_may_be_heard(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    clips_of_songs(project)
    path = webmushra.write(project / "test", gathering.gather([layout.current(project)], STEPS))
    screens = yaml.safe_load(path.read_text(encoding="utf-8"))["pages"][1][1:]
    assert [screen["type"] for screen in screens] == ["likert_multi_stimulus"] * 4 + ["mushra"]
    rock = screens[-1]
    sounds = [soundfile.info(project / "test" / name) for name in (rock["reference"], *rock["stimuli"].values())]
    assert {(sound.frames, sound.samplerate) for sound in sounds} == {(3200, 16000)}
    assert not any(word in name for name in rock["stimuli"].values() for word in ("20", "300", "noise"))


def test_a_library_that_changed_since_the_clips_is_private(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    clips_of_songs(project)
    later = (project / "data" / "clips" / clipset.TABLE).stat().st_mtime + 10
    os.utime(project / "data" / "library.json", (later, later))
    assert songs.may_be_heard(None) == (False, songs.PRIVATE)
    assert songs.may_be_heard(True) == (True, songs.ALLOWED)
    assert songs.may_be_heard(False) == (False, songs.PRIVATE)


def test_a_primer_is_heard_only_where_songs_may_be(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    generation = project / "generations" / "step-300" / "generation.json"
    content = files.read_json(generation, made_by="")
    for clip in content["clips"]:
        clip["primer_frames"] = 800
    files.write_json(generation, content)
    _, text = written(project)
    assert "Where generation begins" not in text
    clip = gathering.gather([layout.current(project)], STEPS).run.clip(300, "rock").sound
    assert clip is not None
    assert len(clip.samples) == 2400
    clips_of_songs(project)
    _, text = written(project)
    assert text.count("Where generation begins") == len(tiny_run.GENRES)
    assert 'x1="25.00%"' in text


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
    clips = tuple(clip for clip in run.clips if clip.step == 20)
    return comparison.Run(**{**vars(run), "clips": clips, "generated": {20: run.generated[20]}})

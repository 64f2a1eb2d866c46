"""The compared clips as a listening test for webMUSHRA (github.com/audiolabs/webMUSHRA), to put on a server.

In: a `Comparison`. Out: a folder `configs/` with study.yaml and the sounds beside it, as webMUSHRA wants them: WAV
files of one length within a screen, no longer than 12 s. Copied into its root, the test opens at ?config=study.yaml.
"""

import zlib
from pathlib import Path
from typing import Any

import soundfile
import yaml
from markupsafe import escape

from src.base import files
from src.base.errors import Problem
from src.compare import sounds
from src.compare.comparison import Comparison
from src.compare.listening import NOISE
from src.compare.sounds import Sound

LONGEST_S = 12.0
"""webMUSHRA refuses longer stimuli, as BS.1534-3 asks."""
LEAST_DBFS = -36.0
"""Sounds are not turned down below this to be as loud as a quieter one."""
ASK = "How much does each sound like music of this genre? 100: as real music. 0: as noise. "
RESPONSE = [{"value": value, "label": label} for value, label in enumerate(("noise", "poor", "fair", "good", "music"))]


def write(folder: Path, comparison: Comparison) -> Path:
    """Write the test (replaced whole); returns its configuration's path.

    Where songs may be heard, a screen is MUSHRA's: the song is shown as the reference and hidden among the steps and a
    noise. Where not, each sound gets one of five points, because webMUSHRA has no such screen without a reference.
    Raises `Problem` if no genre has two steps that can be heard.
    """
    with files.replacing(folder) as temporary:
        (temporary / "configs" / "sounds").mkdir(parents=True)
        pages = [page for genre in comparison.genres if (page := _page(temporary, comparison, genre))]
        if not pages:
            raise Problem("No genre has two steps that can be heard, so there is no listening test to write.")
        steps = "-".join(str(step) for step in comparison.steps)
        content = {
            "testname": "Which sounds more like music?",
            "testId": f"{comparison.run.name}-{steps}",
            "bufferSize": 2048,
            "stopOnErrors": True,
            "showButtonPreviousPage": True,
            "remoteService": "service/write.php",
            "pages": [
                {"type": "generic", "id": "welcome", "name": "Welcome", "content": f"{ASK}All are equally loud."},
                ["random", *pages],
                {"type": "finish", "name": "Thank you", "content": "", "showResults": True, "writeResults": True},
            ],
        }
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        files.write_text(temporary / "configs" / "study.yaml", text)
    return folder / "configs" / "study.yaml"


def _page(folder: Path, comparison: Comparison, genre: str) -> dict[str, Any] | None:
    clips = {step: comparison.run.clip(step, genre).sound for step in comparison.steps}
    heard: dict[str, Sound] = {f"step {step}": sound for step, sound in clips.items() if sound is not None}
    if len(heard) < 2:
        return None
    song = comparison.songs.get(genre)
    everything = [*heard.values(), *([song] if song else [])]
    rate_hz = everything[0].rate_hz
    frames = min(round(LONGEST_S * rate_hz), *(len(sound.samples) for sound in everything))
    heard[NOISE] = sounds.white_noise(frames, rate_hz)
    number = comparison.genres.index(genre)
    level_dbfs = min(sound.rms_dbfs for sound in [*heard.values(), *everything])

    def write(name: str, sound: Sound) -> str:
        # As loud as the quietest, under a name that does not give it away; webMUSHRA counts paths from its root.
        path = f"configs/sounds/{zlib.crc32(f'{number} {name}'.encode()):08x}.wav"
        gain = 10 ** (min(0.0, max(LEAST_DBFS, level_dbfs) - sound.rms_dbfs) / 20)
        soundfile.write(folder / path, sound.samples[:frames] * gain, rate_hz, subtype="PCM_16")
        return path

    stimuli = {name: write(name, sound) for name, sound in heard.items()}
    page = {"id": f"genre-{number}", "name": str(escape(genre)), "content": ASK, "stimuli": stimuli}
    if song is None:
        rating = {"mustRate": True, "mustPlayback": "processUpdate", "response": RESPONSE}
        return {"type": "likert_multi_stimulus", **page, **rating}
    anchors = {"createAnchor35": False, "createAnchor70": False, "showWaveform": False, "enableLooping": True}
    return {"type": "mushra", **page, **anchors, "reference": write("reference", song)}

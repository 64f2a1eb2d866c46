"""How the imported clips sound, in figures. In: the run's generations. Out: one row a clip."""

import json
from typing import Any

from src.evaluate import sound
from src.legacy import audio
from src.record.layout import RunFiles
from src.wavenet import mulaw


def clips(place: RunFiles, steps: list[int]) -> list[dict[str, Any]]:
    """Genre, step and the sound measures of every imported clip (src/evaluate/catalogue.py says what they mean)."""
    rows = []
    for step in steps:
        description = place.generation(step) / "generation.json"
        if not description.is_file():
            continue
        content = json.loads(description.read_text(encoding="utf-8"))
        for clip in content["clips"]:
            heard = audio.read(place.generation(step) / clip["file"], 0)
            samples = heard.audio.astype("float64")
            rows.append(
                {
                    "step": step,
                    "genre": clip["genre"],
                    "frames": clip["frames"],
                    "primer_frames": clip["source"]["primer_frames_removed"],
                    "on_grid": clip["source"]["on_mu_law_grid"],
                    **sound.level_measures(samples, heard.rate_hz),
                    **sound.spectrum_measures(samples, heard.rate_hz),
                    **sound.code_measures(mulaw.encode(samples)),
                }
            )
    return rows

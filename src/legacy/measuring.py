"""How the imported clips sound, in figures. In: the run's generations. Out: one row a clip."""

from typing import Any

from src.evaluate import sound
from src.generate import generations
from src.legacy import audio
from src.record.layout import RunFiles
from src.wavenet import mulaw


def clips(place: RunFiles, steps: list[int]) -> list[dict[str, Any]]:
    """Genre, step and the sound measures of every imported clip (src/evaluate/catalogue.py says what they mean)."""
    rows = []
    for step in steps:
        folder = place.generation(step)
        if not (folder / generations.NAME).is_file():
            continue
        for clip in generations.load(folder).clips:
            if clip.source is None:
                continue  # made here with `python -m src.generate --run`
            heard = audio.read(folder / clip.file, 0)
            samples = heard.audio.astype("float64")
            rows.append(
                {
                    "step": step,
                    "genre": clip.genre,
                    "frames": clip.frames,
                    "primer_frames": clip.source.primer_frames_removed,
                    "on_grid": clip.source.on_mu_law_grid,
                    **sound.level_measures(samples, heard.rate_hz),
                    **sound.spectrum_measures(samples, heard.rate_hz),
                    **sound.code_measures(mulaw.encode(samples)),
                }
            )
    return rows

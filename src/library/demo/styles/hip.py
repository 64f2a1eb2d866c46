"""Hip hop: a swung drum machine, gliding sub bass, a looped jazz chord sample, and a rapped voice."""

import numpy as np

from src.library.demo.score import DORIAN, MINOR, Part, Pen, Score, choose_bars, degree_pitch, plan_form, stack, voiced

FORMS = (
    (("intro", 1), ("verse", 4), ("hook", 2), ("verse", 4), ("hook", 2), ("outro", 1)),
    (("hook", 2), ("verse", 4), ("hook", 2), ("verse", 3), ("break", 1), ("hook", 2)),
    (("intro", 1), ("verse", 4), ("hook", 2), ("break", 1), ("verse", 3), ("hook", 2), ("outro", 1)),
)
PROGRESSIONS = ((0, 3), (0, 5), (0, 3, 6, 4), (0, 5, 3, 4), (0, 0, 3, 3))
KICKS = ((0, 0.75, 2.5), (0, 1.75, 2.5), (0, 0.5, 2.25, 2.75), (0, 1.5, 2.75), (0, 2.5, 3.5))
VOWELS = ("a", "e", "i", "o", "u")


def hip(rng: np.random.Generator, index: int, duration_s: float) -> Score:
    """Write a song over a two-bar loop; drums drop out before the hooks, the rap's rhythm rhymes every second bar."""
    bars, tempo = choose_bars(duration_s, float(rng.uniform(78, 98)), 4)
    scale = (MINOR, DORIAN)[int(rng.integers(2))]
    tonic = 57.0 + float(rng.integers(-5, 6))
    form = plan_form(FORMS[index % len(FORMS)], bars)
    pen = Pen(4)
    chords = {name: PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))] for name in ("verse", "hook")}
    kicks = [KICKS[int(i)] for i in rng.integers(0, len(KICKS), 2)]
    swing = float(rng.uniform(0.04, 0.1))
    is_trap = index % 3 == 2
    hook = [(float(b), int(s)) for b, s in zip((0, 0.75, 1.5, 2.5), rng.integers(0, 5, 4), strict=True)]
    voice_pitch = 45.0 + float(rng.integers(-2, 5))
    flow = _flow(rng)
    for section in form:
        material = "hook" if section.name == "hook" else "verse"
        for i in range(section.bars):
            bar = section.first_bar + i
            degree = chords[material][(i // 2 if is_trap else i) % len(chords[material])]
            chord = voiced(stack(scale, tonic, degree, size=4), 62)
            pen.chord("keys", bar, 0, 1.9, chord, 0.65)
            pen.chord("keys", bar, 2.5 + swing, 1.2, chord[1:], 0.5)
            drops = i == section.bars - 1 and not section.is_last and section.bars > 1
            if section.name not in ("intro", "break"):
                _drums(pen, rng, bar, i, kicks[i % 2], swing, is_trap=is_trap, drops=drops)
                root = degree_pitch(scale, tonic, degree) - 24
                for beat in kicks[i % 2][: 1 if drops else None]:
                    pen.note("sub", bar, beat, 1.1 if beat else 1.6, root if root > 28 else root + 12, 0.9)
            elif section.name == "break":
                pen.drums(bar, "closed hat", np.arange(0, 4, 0.5), 0.2)
            if section.name == "hook":
                for beat, step in hook:
                    pitch = degree_pitch(scale, tonic + 12, degree + step)
                    pen.note("hook", bar, beat + (swing if beat % 0.5 else 0), 0.7, pitch, 0.7)
            if section.name in ("verse", "break"):
                if i % 8 == 0:
                    flow = _flow(rng)
                _rap(pen, rng, bar, flow[i % 2], swing, voice_pitch)
    pen.chord("keys", bars, 0, 4, voiced(stack(scale, tonic, 0, size=4), 62), 0.7)
    pen.note("sub", bars, 0, 2.5, tonic - 24, 0.9)
    return Score(
        tempo_bpm=tempo,
        beats_per_bar=4,
        bars=bars,
        sections=form,
        parts={
            "keys": Part("electric piano", 0.32, -0.3, ((0.18, 0.2),)),
            "sub": Part("sub bass", 0.8),
            "hook": Part(("flute", "pad", "pizzicato")[index % 3], 0.4, 0.35, ((0.27, 0.25),)),
            "rap": Part("rap a", 0.5),
            "drums": Part("kick", 0.75),
        },
        notes=tuple(pen.notes),
        duration_s=duration_s,
        loudness_dbfs=-14.0,
    )


def _flow(rng: np.random.Generator) -> list[list[tuple[float, str]]]:
    """Two bars of syllables as (beat, vowel); both end on the same vowel, the rhyme."""
    rhyme = VOWELS[int(rng.integers(len(VOWELS)))]
    flow = []
    for _ in range(2):
        onsets = [step / 4 for step in range(14) if rng.random() < (0.85 if step % 2 == 0 else 0.45)]
        flow.append([(beat, VOWELS[int(rng.integers(len(VOWELS)))]) for beat in onsets] + [(3.5, rhyme)])
    return flow


def _rap(
    pen: Pen, rng: np.random.Generator, bar: int, flow: list[tuple[float, str]], swing: float, pitch: float
) -> None:
    for beat, vowel in flow:
        accent = 1 if beat % 1 == 0 else 0
        late = swing if beat % 0.5 else 0.0
        bend = float(rng.integers(-1, 2)) + 2 * accent
        pen.note("rap", bar, beat + late, 0.2, pitch + bend, 0.7 + 0.15 * accent, f"rap {vowel}")


def _drums(
    pen: Pen, rng: np.random.Generator, bar: int, i: int, kicks: tuple[float, ...], swing: float, *,
    is_trap: bool, drops: bool,
) -> None:  # fmt: skip
    pen.drums(bar, "kick", kicks[: 1 if drops else None], 1.0, 31)
    if drops:
        return
    pen.drums(bar, "clap" if is_trap else "snare", (2,) if is_trap and i % 2 else (1, 3), 0.7, 55)
    for beat in np.arange(0, 4, 0.25 if is_trap else 0.5):
        late = swing if beat % 0.5 else 0.0
        pen.drums(bar, "closed hat", (float(beat) + late,), 0.3 if beat % 1 == 0 else 0.2)
    if is_trap and rng.random() < 0.5:
        # The roll: triplet thirty-seconds before the bar's end.
        pen.drums(bar, "closed hat", 3.5 + np.arange(6) / 12, 0.22)
    elif i % 4 == 3:
        pen.drums(bar, "open hat", (3.5 + swing,), 0.3)

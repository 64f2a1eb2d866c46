"""Rock: verses, choruses, a bridge and a solo over a backbeat; crunch guitar, clean guitar, bass, organ, a singer."""

import numpy as np

from src.library.demo.score import (
    MAJOR,
    MAJOR_PENTATONIC,
    MINOR,
    MINOR_PENTATONIC,
    MIXOLYDIAN,
    Part,
    Pen,
    Score,
    Section,
    choose_bars,
    degree_pitch,
    melody_phrase,
    plan_form,
    random_rhythm,
    stack,
    voiced,
)

FORMS = (
    (("intro", 1), ("verse", 3), ("chorus", 2), ("verse", 2), ("chorus", 2), ("solo", 2), ("chorus", 3), ("outro", 1)),
    (("intro", 1), ("verse", 2), ("verse", 2), ("chorus", 2), ("bridge", 2), ("solo", 2), ("chorus", 3)),
    (("intro", 2), ("verse", 3), ("chorus", 2), ("verse", 2), ("bridge", 1), ("chorus", 3), ("outro", 1)),
)
PROGRESSIONS = ((0, 4, 5, 3), (5, 3, 0, 4), (0, 3, 0, 4), (0, 6, 3, 0), (0, 5, 3, 4), (0, 2, 3, 3))
STRUMS = ((0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5), (0, 1.5, 2, 3.5), (0, 0.75, 1.5, 2, 2.75, 3.5), (0, 1, 1.5, 2.5, 3))
KICKS = ((0, 2, 2.5), (0, 1.5, 2), (0, 0.5, 2, 3.5), (0, 2))
VOWELS = ("a", "e", "o", "i")


def rock(rng: np.random.Generator, index: int, duration_s: float) -> Score:
    """Write a song: clean guitar in the intro and verses, everything in the chorus, pentatonic solo."""
    bars, tempo = choose_bars(duration_s, float(rng.uniform(104, 138)), 4)
    scale = (MAJOR, MIXOLYDIAN, MINOR)[int(rng.integers(3))]
    tonic = 52.0 + float(rng.integers(-4, 6))
    form = plan_form(FORMS[index % len(FORMS)], bars)
    pen = Pen(4)
    order = [int(i) for i in rng.permutation(len(PROGRESSIONS))]
    chords = {name: PROGRESSIONS[i] for name, i in zip(("verse", "chorus", "bridge"), order, strict=False)}
    strums = {name: STRUMS[int(rng.integers(len(STRUMS)))] for name in chords}
    kicks = {name: KICKS[int(rng.integers(len(KICKS)))] for name in chords}
    pentatonic = MINOR_PENTATONIC if scale == MINOR else MAJOR_PENTATONIC
    melodies = {
        name: melody_phrase(
            rng, scale, tonic + 12, chords[name] * 2, [random_rhythm(rng, 4, 2, d) for d in densities], leap=1, span=7
        )
        for name, densities in (
            ("verse", (0.45, 0.3, 0.45, 0.1)),
            ("chorus", (0.3, 0.2, 0.35, 0.05)),
            ("bridge", (0.3, 0.2)),
        )
    }
    tuning = float(rng.integers(-1, 3))
    with_organ = index % 2 == 1
    for section in form:
        material = {"intro": "verse", "outro": "chorus", "solo": "bridge"}.get(section.name, section.name)
        for i in range(section.bars):
            bar = section.first_bar + i
            degree = chords[material][i % 4]
            _band(pen, section, i, bar, scale, tonic, degree, strums[material], with_organ)
            _drums(pen, rng, section, i, bar, kicks[material], tuning)
            if section.name in ("verse", "chorus", "bridge"):
                for beat, beats, pitch in melodies[material][i % 8]:
                    vowel = VOWELS[int(rng.integers(len(VOWELS)))]
                    pen.note("singer", bar, beat, beats * 0.9, pitch, 0.8, f"voice {vowel}")
        if section.name == "solo":
            _solo(pen, rng, section, pentatonic, tonic)
    pen.note("guitar", bars, 0, 4, tonic - 12 if tonic > 50 else tonic, 0.9)
    pen.note("bass", bars, 0, 4, tonic - 24, 0.9)
    pen.drums(bars, "kick", (0,), 0.9, 33)
    pen.drums(bars, "crash", (0,), 0.5)
    return Score(
        tempo_bpm=tempo,
        beats_per_bar=4,
        bars=bars,
        sections=form,
        parts={
            "clean": Part("clean guitar", 0.5, -0.5, ((0.12, 0.2),)),
            "guitar": Part("crunch guitar", 0.55, 0.45),
            "bass": Part("bass", 0.45),
            "organ": Part("organ", 0.22, -0.35),
            "singer": Part("voice a", 0.42, 0.0, ((0.09, 0.15),)),
            "lead": Part("lead guitar", 0.42, 0.15, ((0.24, 0.22),)),
            "drums": Part("kick", 0.65),
        },
        notes=tuple(pen.notes),
        duration_s=duration_s,
        loudness_dbfs=-14.5,
    )


def _band(
    pen: Pen, section: Section, i: int, bar: int, scale: tuple[int, ...], tonic: float, degree: int,
    strum: tuple[float, ...], with_organ: bool,
) -> None:  # fmt: skip
    root = degree_pitch(scale, tonic, degree)
    low = root - 12 if root >= 52 else root
    loud = section.name in ("chorus", "solo", "outro") or (section.name == "verse" and section.first_bar > 24)
    if section.name in ("intro", "verse", "bridge"):
        chord = voiced(stack(scale, tonic, degree), 57)
        for step in range(8):
            pitch = [*chord, chord[0] + 12][(0, 1, 2, 3, 2, 1, 2, 1)[step]]
            pen.note("clean", bar, step / 2, 0.9, pitch, 0.75 if step % 2 == 0 else 0.6)
    if loud:
        ends = [*strum[1:], 4.0]
        for beat, end in zip(strum, ends, strict=True):
            pen.note("guitar", bar, beat, (end - beat) * 0.92, low, 0.9 if beat % 2 == 0 else 0.75)
    if section.name != "intro" or i >= 2:
        walk = (0, 0, 0, 0, 0, 0, 7, 7) if bar % 2 else (0,) * 8
        for step in range(8):
            pen.note("bass", bar, step / 2, 0.45, low - 12 + walk[step], 0.85 if step % 2 == 0 else 0.7)
    if with_organ and section.name in ("chorus", "bridge", "solo"):
        pen.chord("organ", bar, 0, 3.9, voiced(stack(scale, tonic, degree), 62), 0.7)


def _drums(
    pen: Pen, rng: np.random.Generator, section: Section, i: int, bar: int, kicks: tuple[float, ...], tuning: float
) -> None:
    if section.name == "intro" and i < section.bars - 1:
        pen.drums(bar, "closed hat", (0, 1, 2, 3), 0.25)
        return
    is_fill = i % 8 == 7 or i == section.bars - 1
    pen.drums(bar, "kick", kicks, 0.95, 33 + tuning)
    cymbal = "ride" if section.name in ("chorus", "solo") else "closed hat"
    pen.drums(bar, cymbal, np.arange(0, 2 if is_fill else 4, 0.5), 0.28)
    if is_fill:
        pen.drums(bar, "snare", (1, 2), 0.8, 54 + tuning)
        for beat in (2.5, 2.75, 3, 3.25, 3.5, 3.75):
            pen.drums(bar, "tom", (beat,), 0.75, 50 + tuning - 3 * int((beat - 2.5) * 2))
    else:
        pen.drums(bar, "snare", (1, 3), 0.85, 54 + tuning)
        if rng.random() < 0.2:
            pen.drums(bar, "snare", (3.75,), 0.35, 54 + tuning)
    if i == 0:
        pen.drums(bar, "crash", (0,), 0.5)


def _solo(pen: Pen, rng: np.random.Generator, section: Section, scale: tuple[int, ...], tonic: float) -> None:
    licks = [(random_rhythm(rng, 4, 4, d), rng.integers(-2, 3, 20)) for d in (0.3, 0.5, 0.2)]
    place = 5
    for i in range(section.bars):
        rhythm, steps = licks[(0, 1, 0, 2)[i % 4]]
        for (beat, beats), step in zip(rhythm, steps, strict=False):
            place = int(np.clip(place + step + (1 if i % 4 == 1 else 0), 1, 13))
            pitch = degree_pitch(scale, tonic + 12, place)
            pen.note("lead", section.first_bar + i, beat, beats * 0.95, pitch, 0.85)

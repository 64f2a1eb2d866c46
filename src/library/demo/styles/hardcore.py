"""Hardcore (punk): short fast sections, open power chords in straight eighths, shouts, and slow breakdowns."""

import numpy as np

from src.library.demo.score import Part, Pen, Score, Section, choose_bars, plan_form

FORMS = (
    (
        ("feedback", 1),
        ("verse", 2),
        ("chorus", 2),
        ("verse", 2),
        ("breakdown", 2),
        ("verse", 2),
        ("chorus", 2),
        ("breakdown", 1),
    ),
    (("intro", 1), ("verse", 2), ("chorus", 2), ("two-step", 2), ("verse", 2), ("chorus", 2), ("breakdown", 2)),
    (("feedback", 1), ("two-step", 2), ("verse", 2), ("breakdown", 2), ("verse", 2), ("chorus", 3), ("two-step", 1)),
)
PROGRESSIONS = (
    (0, 5, 3, 8), (0, 3, 5, 7), (0, 10, 8, 7), (0, 7, 5, 3), (0, 1, 0, 10), (0, 3, 1, 6), (0, 5, 7, 10),
)  # fmt: skip
"""Roots in semitones: parallel power chords, chromatic as the style is, not drawn from a scale."""
SHOUTS = ((0, 0.5, 1.5, 2, 3), (0, 1, 1.5, 2.5, 3), (0.5, 1, 1.5, 2.5, 3, 3.5), (0, 0.5, 1, 2, 2.5))
VOWELS = ("a", "e", "o")


def hardcore(rng: np.random.Generator, index: int, duration_s: float) -> Score:
    """Write a song; verses at full speed with a snare on every off-beat, breakdowns at half time."""
    bars, tempo = choose_bars(duration_s, float(rng.uniform(184, 222)), 4)
    tonic = 40.0 + float(rng.integers(0, 6))
    form = plan_form(FORMS[index % len(FORMS)], bars)
    pen = Pen(4)
    order = [int(i) for i in rng.permutation(len(PROGRESSIONS))]
    names = ("verse", "chorus", "breakdown", "two-step")
    roots = {name: PROGRESSIONS[i] for name, i in zip(names, order, strict=False)}
    shouts = [SHOUTS[int(i)] for i in rng.integers(0, len(SHOUTS), 2)]
    vowels = [VOWELS[int(i)] for i in rng.integers(0, len(VOWELS), 6)]
    shout_pitch = 57.0 + float(rng.integers(-3, 4))
    for section in form:
        material = {"feedback": "verse", "intro": "chorus"}.get(section.name, section.name)
        for i in range(section.bars):
            bar = section.first_bar + i
            root = tonic + roots[material][i % 4]
            root -= 12 if root > tonic + 8 else 0
            _guitars(pen, section, i, bar, root, rng)
            _drums(pen, section, i, bar)
            _shout(pen, section, i, bar, shouts[i % 2], vowels, shout_pitch)
    pen.note("guitar", bars, 0, 4, tonic, 1.0)
    pen.note("bass", bars, 0, 4, tonic - 12, 0.9)
    pen.drums(bars, "crash", (0,), 0.6)
    return Score(
        tempo_bpm=tempo,
        beats_per_bar=4,
        bars=bars,
        sections=form,
        parts={
            "guitar": Part("punk guitar", 0.65, -0.3),
            "bass": Part("fuzz bass", 0.3),
            "feedback": Part("lead guitar", 0.3, 0.3),
            "shout": Part("shout a", 0.55, 0.0, ((0.06, 0.2),)),
            "drums": Part("kick", 0.7),
        },
        notes=tuple(pen.notes),
        duration_s=duration_s,
        loudness_dbfs=-12.0,
    )


def _guitars(pen: Pen, section: Section, i: int, bar: int, root: float, rng: np.random.Generator) -> None:
    if section.name == "feedback" and i < section.bars - 1:
        if i % 4 == 0:
            pen.note("feedback", bar, 0, min(16, 4 * (section.bars - i)), root + 36, 0.7)
        if i % 2 == 0:
            pen.note("guitar", bar, 0, 7.5, root, 0.8)
        return
    if section.name == "breakdown":
        for beat, beats in ((0, 1.4), (1.5, 0.4), (2, 0.9), (3, 0.45), (3.5, 0.45)):
            mute = "muted guitar" if beats < 0.5 else None
            pen.note("guitar", bar, beat, beats, root, 1.0, mute)
            pen.note("bass", bar, beat, beats, root - 12, 0.9)
        return
    step = 1.0 if section.name == "intro" else 0.5
    for beat in np.arange(0, 4, step):
        # Now and then the strumming hand pushes the next chord early.
        push = 1 if beat == 3.5 and section.name == "chorus" and rng.random() < 0.3 else 0
        pen.note("guitar", bar, float(beat), step * 0.72, root + push, 0.95 if beat % 1 == 0 else 0.8)
        pen.note("bass", bar, float(beat), step * 0.9, root - 12, 0.8)


def _drums(pen: Pen, section: Section, i: int, bar: int) -> None:
    if section.name == "feedback":
        if i == section.bars - 1:
            pen.drums(bar, "snare", np.arange(0, 4, 0.5), 0.8, 57)
        return
    if section.name == "breakdown":
        pen.drums(bar, "kick", (0, 1.5, 3), 1.0, 33)
        pen.drums(bar, "snare", (2,), 1.0, 56)
        pen.drums(bar, "crash", (0, 2), 0.4)
        return
    is_fill = i % 8 == 7
    if section.name == "two-step":
        pen.drums(bar, "kick", (0, 1, 1.5, 2, 3), 0.9, 34)
        pen.drums(bar, "snare", (0.5, 2.5) if not is_fill else np.arange(2, 4, 0.5), 0.9, 57)
        pen.drums(bar, "ride", (0, 1, 2, 3), 0.3)
    else:
        # The D-beat: snare on two and four, bass drum on one and pushed around three.
        pen.drums(bar, "kick", (0, 1.5, 2.5), 0.95, 34)
        pen.drums(bar, "snare", (1, 3) if not is_fill else (1, 2, 2.5, 3, 3.25, 3.5, 3.75), 0.95, 57)
        pen.drums(bar, "open hat" if section.name == "chorus" else "closed hat", (0, 1, 2, 3), 0.3)
    if i % 4 == 0:
        pen.drums(bar, "crash", (0,), 0.5)


def _shout(
    pen: Pen, section: Section, i: int, bar: int, rhythm: tuple[float, ...], vowels: list[str], pitch: float
) -> None:
    if section.name in ("feedback", "intro", "two-step"):
        return
    if section.name == "verse":
        for n, beat in enumerate(rhythm):
            bend = 2 if n == 0 else -(n % 2)
            pen.note("shout", bar, beat, 0.42, pitch + bend, 0.85, f"shout {vowels[n % len(vowels)]}")
    elif i % 2 == 0:
        # The gang answers: two voices, long.
        for offset in (0, 3 if section.name == "chorus" else -5):
            pen.note("shout", bar, 0, 1.3, pitch + offset, 0.7, f"shout {vowels[i % len(vowels)]}")
            pen.note("shout", bar, 2, 1.6, pitch + offset, 0.7, f"shout {vowels[(i + 1) % len(vowels)]}")

"""Metal: low tunings, palm-muted gallops, double bass drum, a clean intro, a breakdown and a harmonised solo."""

import numpy as np

from src.library.demo.score import (
    HARMONIC_MINOR,
    MINOR,
    PHRYGIAN,
    Part,
    Pen,
    Score,
    Section,
    choose_bars,
    degree_pitch,
    plan_form,
    stack,
    voiced,
)

FORMS = (
    (
        ("clean", 2),
        ("riff", 2),
        ("verse", 3),
        ("chorus", 2),
        ("riff", 1),
        ("breakdown", 2),
        ("solo", 2),
        ("chorus", 2),
        ("riff", 1),
    ),
    (("riff", 2), ("verse", 3), ("chorus", 2), ("clean", 2), ("breakdown", 2), ("solo", 2), ("chorus", 3)),
    (
        ("clean", 1),
        ("verse", 3),
        ("blast", 2),
        ("chorus", 2),
        ("breakdown", 2),
        ("solo", 3),
        ("verse", 2),
        ("blast", 1),
    ),
)
CHUGS = (
    (0, 0.5, 0.75, 1, 1.5, 1.75, 2, 2.5, 2.75, 3, 3.5, 3.75),
    (0, 0.25, 0.5, 1, 1.25, 1.5, 2, 2.25, 2.5, 3, 3.5),
    (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 3.5),
    (0, 0.75, 1.5, 2.25, 3, 3.5),
)
"""Gallop, reverse gallop, sixteenths, dotted."""
BREAKDOWNS = ((0, 0.75, 1.5, 2.5, 3.25), (0, 0.5, 1.5, 2.25, 3), (0, 1.25, 1.5, 2.75, 3.5))
ROOTS = ((0, 5, 6, 0), (0, 0, 5, 4), (0, 6, 5, 4), (0, 2, 6, 5))

Riff = list[tuple[float, float, int, bool]]
"""(beat, beats, scale degree, palm-muted)."""


def metal(rng: np.random.Generator, index: int, duration_s: float) -> Score:
    """Write a song; each section has a riff of its own, built of muted low strings and accented chords."""
    bars, tempo = choose_bars(duration_s, float(rng.uniform(152, 196)), 4)
    scale = (PHRYGIAN, HARMONIC_MINOR, MINOR)[int(rng.integers(3))]
    tonic = 36.0 + float(rng.integers(0, 5))
    form = plan_form(FORMS[index % len(FORMS)], bars)
    pen = Pen(4)
    names = ("riff", "verse", "blast")
    riffs = {name: [_riff(rng, CHUGS[int(rng.integers(len(CHUGS)))]) for _ in range(2)] for name in names}
    riffs["breakdown"] = [_riff(rng, BREAKDOWNS[int(rng.integers(len(BREAKDOWNS)))], accents=0.15) for _ in range(2)]
    roots = ROOTS[int(rng.integers(len(ROOTS)))]
    tuning = float(rng.integers(-1, 2))
    for section in form:
        for i in range(section.bars):
            bar = section.first_bar + i
            if section.name == "clean":
                _clean(pen, bar, scale, tonic, roots[(i // 2) % 4], is_last=i == section.bars - 1)
            elif section.name in ("chorus", "solo"):
                _open_chords(pen, bar, degree_pitch(scale, tonic, roots[(i // 2) % 4]))
                _drums(pen, "double bass", bar, i, tuning)
            else:
                riff = riffs[section.name][1 if i % 4 == 3 else 0]
                _play(pen, bar, riff, scale, tonic)
                kind = {"riff": "double bass", "verse": "thrash"}.get(section.name, section.name)
                _drums(pen, kind, bar, i, tuning, riff)
        if section.name in ("solo", "chorus"):
            _lead(pen, rng, section, scale, tonic + 36)
    pen.note("guitar", bars, 0, 4, tonic, 1.0)
    pen.note("bass", bars, 0, 4, tonic - 12 if tonic > 38 else tonic, 0.9)
    pen.drums(bars, "crash", (0,), 0.5)
    pen.drums(bars, "kick", (0,), 0.9, 31)
    return Score(
        tempo_bpm=tempo,
        beats_per_bar=4,
        bars=bars,
        sections=form,
        parts={
            "clean": Part("clean guitar", 0.6, -0.2, ((0.17, 0.25), (0.34, 0.12))),
            "guitar": Part("heavy guitar", 0.8, -0.35),
            "bass": Part("fuzz bass", 0.32),
            "lead": Part("lead guitar", 0.4, 0.3, ((0.21, 0.2),)),
            "harmony": Part("lead guitar", 0.28, -0.5, ((0.21, 0.2),)),
            "drums": Part("kick", 0.62),
        },
        notes=tuple(pen.notes),
        duration_s=duration_s,
        loudness_dbfs=-12.5,
    )


def _riff(rng: np.random.Generator, onsets: tuple[float, ...], accents: float = 0.3) -> Riff:
    """Muted low strings on the onsets; some become open chords on other degrees."""
    ends = [*onsets[1:], 4.0]
    riff: Riff = []
    for beat, end in zip(onsets, ends, strict=True):
        is_open = bool(rng.random() < accents) and end - beat >= 0.25
        degree = int(rng.choice([1, 2, 3, 4, 5, 6])) if is_open else 0
        riff.append((beat, (end - beat) * (0.95 if is_open else 0.8), degree, not is_open))
    return riff


def _play(pen: Pen, bar: int, riff: Riff, scale: tuple[int, ...], tonic: float) -> None:
    for beat, beats, degree, muted in riff:
        pitch = degree_pitch(scale, tonic, degree)
        pen.note("guitar", bar, beat, beats, pitch, 1.0 if beat % 1 == 0 else 0.85, "muted guitar" if muted else None)
        pen.note("bass", bar, beat, min(beats, 0.45), pitch, 0.8)


def _open_chords(pen: Pen, bar: int, root: float) -> None:
    for beat in (0, 2):
        pen.note("guitar", bar, beat, 1.95, root, 0.95)
    for step in range(8):
        pen.note("bass", bar, step / 2, 0.45, root, 0.8)


def _clean(pen: Pen, bar: int, scale: tuple[int, ...], tonic: float, degree: int, *, is_last: bool) -> None:
    chord = voiced(stack(scale, tonic + 24, degree), 60)
    figure = [chord[0] - 12, *chord, chord[0] + 12, *chord[::-1]]
    for step in range(8):
        pen.note("clean", bar, step / 2, 1.8, figure[step % len(figure)], 0.7)
    if is_last:
        for step in range(8):
            pen.drums(bar, "tom", (2 + step / 4,), 0.6 + step * 0.05, 48 - step)


def _drums(pen: Pen, kind: str, bar: int, i: int, tuning: float, riff: Riff | None = None) -> None:
    if kind == "breakdown":
        pen.drums(bar, "kick", [beat for beat, *_ in riff or []], 1.0, 31)
        pen.drums(bar, "snare", (2,), 1.0, 53 + tuning)
        pen.drums(bar, "crash", (0, 1, 2, 3), 0.3)
        return
    is_fill = i % 8 == 7
    if kind == "blast":
        pen.drums(bar, "kick", np.arange(0, 4, 0.5), 0.85, 32)
        pen.drums(bar, "snare", np.arange(0.25, 4, 0.5), 0.65, 55 + tuning)
        pen.drums(bar, "ride", np.arange(0, 4, 0.5), 0.2)
    else:
        fast = np.arange(0, 2 if is_fill else 4, 0.25)
        pen.drums(bar, "kick", fast if kind == "double bass" else [b for b in fast if b % 1 != 0.25], 0.8, 32)
        pen.drums(bar, "snare", (1,) if is_fill else (1, 3), 0.95, 54 + tuning)
        pen.drums(bar, "ride" if kind == "double bass" else "closed hat", np.arange(0, 4, 0.5), 0.25)
    if is_fill:
        for step in range(8):
            pen.drums(bar, "tom", (2 + step / 4,), 0.75, 50 - 2 * (step // 2))
    if i % 4 == 0:
        pen.drums(bar, "crash", (0,), 0.45)


def _lead(pen: Pen, rng: np.random.Generator, section: Section, scale: tuple[int, ...], tonic: float) -> None:
    """A melody in thirds over a chorus; runs in sixteenths in a solo."""
    length = 0.25 if section.name == "solo" else 1.0
    shape = rng.integers(-1, 2, 16) if length == 1.0 else rng.choice([-2, -1, 1, 1, 2, -1], 64)
    place = 3
    steps = round(4 / length)
    for i in range(section.bars):
        # Every second bar of a solo holds a long note, so that the runs breathe.
        holds = length == 0.25 and i % 2 == 1
        for step in range(steps if not holds else 2):
            place = int(np.clip(place + shape[(i * steps + step) % len(shape)], -2, 9))
            beats = 2.0 if holds else length
            for part, offset in (("lead", 0), ("harmony", 2)):
                pitch = degree_pitch(scale, tonic, place + offset)
                pen.note(part, section.first_bar + i, step * beats, beats * 0.95, pitch, 0.85)

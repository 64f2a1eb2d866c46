"""Classical: prelude, minuet, nocturne, string quartet and flute adagio; no drum kit, rubato, modulating middles."""

from collections.abc import Callable

import numpy as np

from src.library.demo.score import (
    HARMONIC_MINOR,
    MAJOR,
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

MAJOR_PERIODS = ((0, 3, 4, 0, 5, 1, 4, 0), (0, 5, 3, 4, 0, 3, 4, 0), (0, 4, 5, 2, 3, 0, 1, 4), (0, 1, 4, 0, 3, 1, 4, 0))
MINOR_PERIODS = ((0, 3, 4, 0, 5, 3, 4, 0), (0, 5, 3, 4, 0, 5, 4, 0), (0, 3, 0, 4, 5, 3, 4, 4), (0, 4, 0, 3, 5, 1, 4, 0))
"""Chord of each bar of an eight-bar period, as scale degrees from 0."""

FORMS = (
    (("a", 2), ("b", 2), ("a", 2), ("c", 2), ("a", 2)),
    (("a", 2), ("a", 2), ("b", 2), ("b", 1), ("a", 2)),
    (("introduction", 1), ("a", 3), ("b", 3), ("a", 2), ("coda", 1)),
)
HALL = ((0.031, 0.18), (0.047, 0.14), (0.073, 0.10), (0.109, 0.07))

Accompaniment = Callable[[Pen, int, list[float], float, float], None]
"""(pen, bar, chord, bass pitch, level)."""


def _broken_chords(pen: Pen, bar: int, chord: list[float], bass: float, level: float) -> None:
    figure = [*chord, chord[0] + 12, chord[-1], chord[1]]
    pen.note("left", bar, 0, 3.8, bass, level)
    for i in range(8):
        pen.note("left", bar, i / 2, 0.9, figure[(i + 1) % len(figure)], level * (0.8 if i % 4 else 1.0))


def _waltz(pen: Pen, bar: int, chord: list[float], bass: float, level: float) -> None:
    pen.note("left", bar, 0, 1.2, bass, level)
    for beat in (1, 2):
        pen.chord("left", bar, beat, 0.7, chord[:3], level * 0.6)


def _nocturne(pen: Pen, bar: int, chord: list[float], bass: float, level: float) -> None:
    for i, pitch in enumerate([bass, bass + 12, chord[0], chord[2], chord[1], chord[0]] * 2):
        pen.note("left", bar, i / 3, 1.6 if i % 6 == 0 else 0.7, pitch, level * (1.0 if i % 6 == 0 else 0.65))


def _strings(pen: Pen, bar: int, chord: list[float], bass: float, level: float) -> None:
    pen.note("bass", bar, 0, 1.9, bass, level)
    pen.note("bass", bar, 2, 1.9, bass + (0 if bar % 2 else 7), level * 0.9)
    for i in range(4):
        pen.note("left", bar, i, 0.9, chord[1], level * 0.7)
        pen.note("middle", bar, i, 0.9, chord[2], level * 0.6)


def _adagio(pen: Pen, bar: int, chord: list[float], bass: float, level: float) -> None:
    pen.note("bass", bar, 0, 3.9, bass, level * 0.8)
    for i in range(4):
        pen.note("left", bar, i + 0.5, 0.4, chord[i % len(chord)], level)


KINDS: tuple[tuple[str, Accompaniment, int, tuple[float, float], str, str], ...] = (
    ("prelude", _broken_chords, 4, (66, 84), "piano", "piano"),
    ("minuet", _waltz, 3, (88, 104), "violin", "harpsichord"),
    ("quartet", _strings, 4, (80, 100), "violin", "violin"),
    ("nocturne", _nocturne, 4, (52, 62), "piano", "piano"),
    ("adagio", _adagio, 4, (60, 72), "flute", "pizzicato"),
)
"""Name, accompaniment, beats of a bar, tempi, the melody's instrument, the accompaniment's."""


def classical(rng: np.random.Generator, index: int, duration_s: float) -> Score:
    """Write a piece; the middle sections move to the dominant or the relative key and the end slows down."""
    kind, accompany, beats, tempi, upper, lower = KINDS[index % len(KINDS)]
    bars, tempo = choose_bars(duration_s, float(rng.uniform(*tempi)), beats)
    minor = bool(rng.random() < 0.4)
    tonic = 60.0 + float(rng.integers(-5, 6))
    form = plan_form(FORMS[int(rng.integers(len(FORMS)))], bars)
    pen = Pen(beats)
    steps = 1 if kind == "quartet" else 2
    themes: dict[str, tuple[list[list[tuple[float, float, float]]], tuple[int, ...], float, tuple[int, ...]]] = {}
    for section in form:
        if section.name not in themes:
            # The middle of a minor piece goes to the relative major, of a major piece to dominant or relative minor.
            away = section.name in ("b", "c")
            local_minor = minor if not away else (not minor and section.name == "c")
            shift = 0 if not away else (3 if minor else (-3 if section.name == "c" else 7 if tonic < 60 else -5))
            scale = HARMONIC_MINOR if local_minor else MAJOR
            periods = MINOR_PERIODS if local_minor else MAJOR_PERIODS
            chords = periods[int(rng.integers(len(periods)))]
            rhythms = [random_rhythm(rng, beats, steps, density) for density in (0.35, 0.25, 0.45, 0.1)]
            phrase = melody_phrase(rng, scale, tonic + shift + 12, chords, rhythms)
            themes[section.name] = (phrase, chords, tonic + shift, scale)
        _section(pen, rng, section, themes[section.name], accompany)
    ending = stack(HARMONIC_MINOR if minor else MAJOR, tonic, 0)
    pen.chord("left", bars, 0, 4, voiced(ending, 60), 0.6)
    pen.note("melody", bars, 0, 4, tonic + 12, 0.6)
    pen.note("bass" if kind in ("quartet", "adagio") else "left", bars, 0, 4, tonic - 24, 0.7)
    pace = 1.0 + 0.03 * np.sin(np.arange(bars) * 2 * np.pi / 8) + rng.normal(0, 0.008, bars)
    if bars > 4:
        pace[-2:] *= (1.08, 1.18)
    pace *= bars / pace.sum()
    return Score(
        tempo_bpm=tempo,
        beats_per_bar=beats,
        bars=bars,
        sections=form,
        parts={
            "melody": Part(upper, 0.9 if upper == "piano" else 0.6, 0.25, HALL),
            "left": Part(lower, 0.55, -0.3, HALL),
            "middle": Part("violin", 0.4, 0.05, HALL),
            "bass": Part("cello", 0.55, -0.45, HALL),
            "timpani": Part("timpani", 0.5, 0.4, HALL),
        },
        notes=tuple(pen.notes),
        duration_s=duration_s,
        loudness_dbfs=-21.0,
        bar_pace=tuple(pace),
    )


def _section(
    pen: Pen,
    rng: np.random.Generator,
    section: Section,
    theme: tuple[list[list[tuple[float, float, float]]], tuple[int, ...], float, tuple[int, ...]],
    accompany: Accompaniment,
) -> None:
    phrase, chords, tonic, scale = theme
    for i in range(section.bars):
        bar = section.first_bar + i
        degree = chords[i % len(chords)]
        # A phrase swells to its sixth bar and recedes.
        level = 0.5 + 0.25 * float(np.sin(np.pi * min(1.0, (i % 8 + 1) / 7))) + (0.12 if section.name == "c" else 0.0)
        chord = voiced(stack(scale, tonic, degree), 60)
        bass = degree_pitch(scale, tonic, degree) - 24
        accompany(pen, bar, chord, bass if bass > 35 else bass + 12, level * 0.9)
        if section.name == "introduction":
            continue
        for beat, beats, pitch in phrase[i % len(phrase)]:
            # Repeats are ornamented here and there with the upper neighbour.
            if i >= 8 and beats >= 1 and rng.random() < 0.2:
                pen.note("melody", bar, beat, 0.25, pitch + 2, level * 0.8)
                pen.note("melody", bar, beat + 0.25, beats - 0.25, pitch, level)
            else:
                pen.note("melody", bar, beat, beats * 0.97, pitch, level + rng.normal(0, 0.03))
        if section.name in ("coda", "c") and degree in (0, 4):
            pen.note("timpani", bar, 0, 1, 36 + (tonic + (7 if degree == 4 else 0)) % 12, level * 0.7)

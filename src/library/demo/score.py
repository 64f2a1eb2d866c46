"""What a composed song is made of before it sounds: notes, parts, form; and the scales they are drawn from.

Nothing here knows about samples. A style (`styles/`) writes a `Score`; `compose.py` plays it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)
MIXOLYDIAN = (0, 2, 4, 5, 7, 9, 10)
MINOR_PENTATONIC = (0, 3, 5, 7, 10)
MAJOR_PENTATONIC = (0, 2, 4, 7, 9)

Hit = tuple[float, float]
"""(onset, length), both in beats from the bar's beginning."""


@dataclass(frozen=True)
class Note:
    """One sound of one part."""

    part: str
    beat: float
    """From the song's beginning."""
    beats: float
    pitch: float
    level: float
    instrument: str | None = None
    """Overrides the part's (a voice changes its vowel, a kit its drum)."""


@dataclass(frozen=True)
class Part:
    """How a part is heard in the mix."""

    instrument: str
    gain: float
    pan: float = 0.0
    """-1 left, 1 right; used in stereo songs."""
    echo: tuple[tuple[float, float], ...] = ()
    """(delay in seconds, gain) of each reflection."""


@dataclass(frozen=True)
class Section:
    """A stretch of the form."""

    name: str
    first_bar: int
    bars: int
    is_last: bool


@dataclass(frozen=True)
class Score:
    """A whole song, in beats."""

    tempo_bpm: float
    beats_per_bar: int
    bars: int
    """Full bars; the final chord stands at the beginning of the bar after them and rings."""
    sections: tuple[Section, ...]
    parts: Mapping[str, Part]
    notes: tuple[Note, ...]
    duration_s: float
    loudness_dbfs: float
    """RMS that the finished song is brought to."""
    bar_pace: tuple[float, ...] = ()
    """Length of each bar relative to the tempo (rubato); empty: all equal."""

    @property
    def beat_s(self) -> float:
        """Seconds of a beat at the written tempo."""
        return 60.0 / self.tempo_bpm

    def seconds(self, beats: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """When each of `beats` sounds, in seconds from the song's beginning."""
        pace = np.array(self.bar_pace or (1.0,) * self.bars)
        starts = np.concatenate([[0.0], np.cumsum(pace)]) * self.beats_per_bar * self.beat_s
        at = np.asarray(beats, dtype=np.float64)
        bar = np.arange(self.bars + 1) * self.beats_per_bar
        late = np.maximum(at - bar[-1], 0.0) * self.beat_s
        return np.asarray(np.interp(at, bar, starts) + late)


@dataclass
class Pen:
    """Collects notes while a style writes its song."""

    beats_per_bar: int
    notes: list[Note] = field(default_factory=list)

    def note(
        self,
        part: str,
        bar: float,
        beat: float,
        beats: float,
        pitch: float,
        level: float,
        instrument: str | None = None,
    ) -> None:
        """One note; `beat` counts from the beginning of `bar`."""
        where = bar * self.beats_per_bar + beat
        self.notes.append(Note(part, where, beats, pitch, float(np.clip(level, 0.05, 1.0)), instrument))

    def chord(self, part: str, bar: float, beat: float, beats: float, pitches: Iterable[float], level: float) -> None:
        """Several notes at once."""
        for pitch in pitches:
            self.note(part, bar, beat, beats, pitch, level)

    def drums(self, bar: int, drum: str, beats: Iterable[float], level: float, pitch: float = 60.0) -> None:
        """Hits of one drum in a bar."""
        for beat in beats:
            self.note("drums", bar, beat, 0.25, pitch, level, drum)


def degree_pitch(scale: Sequence[int], tonic: float, degree: int) -> float:
    """Pitch of a scale degree; 0 is the tonic, degrees outside the octave go on up and down."""
    octave, step = divmod(degree, len(scale))
    return tonic + 12 * octave + scale[step]


def stack(scale: Sequence[int], tonic: float, degree: int, size: int = 3) -> list[float]:
    """A chord of `size` notes in thirds on a scale degree."""
    return [degree_pitch(scale, tonic, degree + 2 * i) for i in range(size)]


def voiced(chord: Sequence[float], center: float) -> list[float]:
    """The chord's notes moved by octaves to lie around `center`, so that successive chords move little."""
    return sorted(pitch + 12 * round((center - pitch) / 12) for pitch in chord)


def choose_bars(duration_s: float, tempo_bpm: float, beats_per_bar: int) -> tuple[int, float]:
    """Full bars of a song and the tempo, bent a little so that the final chord falls near the end.

    A song shorter than 8 bars keeps its tempo and is cut by the end of the recording.
    """
    ring_s = min(2.4, 0.15 * duration_s)
    bars = (duration_s - ring_s) * tempo_bpm / 60.0 / beats_per_bar
    if bars < 8:
        return max(1, int(np.ceil(bars))), tempo_bpm
    return round(bars), round(bars) * beats_per_bar * 60.0 / (duration_s - ring_s)


def plan_form(template: Sequence[tuple[str, int]], bars: int) -> tuple[Section, ...]:
    """Lay a form out over a number of bars.

    template: (name, weight) in order. Sections come out in multiples of four bars where there is room;
    a song too short for all of them keeps the heaviest. The last section takes the bars left over.
    """
    unit = 4 if bars >= 4 * len(template) else 2 if bars >= 2 * len(template) else 1
    units = max(1, bars // unit)
    kept = sorted(sorted(range(len(template)), key=lambda i: -template[i][1])[:units])
    weights = np.array([template[i][1] for i in kept], dtype=float)
    shares = weights / weights.sum() * units
    sizes = np.maximum(1, np.floor(shares)).astype(int)
    while sizes.sum() < units:
        sizes[int(np.argmax(shares - sizes))] += 1
    while sizes.sum() > units:
        sizes[int(np.argmax(np.where(sizes > 1, sizes - shares, -np.inf)))] -= 1
    lengths = sizes * unit
    lengths[-1] += bars - lengths.sum()
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return tuple(
        Section(template[i][0], int(start), int(length), is_last=i == kept[-1])
        for i, start, length in zip(kept, starts, lengths, strict=True)
    )


def melody_phrase(
    rng: np.random.Generator,
    scale: Sequence[int],
    tonic: float,
    chords: Sequence[int],
    rhythms: Sequence[Sequence[Hit]],
    *,
    leap: int = 2,
    span: int = 9,
) -> list[list[tuple[float, float, float]]]:
    """A melody over one chord a bar: for each bar, (beat, beats, pitch) of its notes.

    Bars take the rhythms in turn and share a contour, so that the phrase repeats itself with changes. Notes on a
    bar's first beat are the nearest note of the chord; the others step by at most `leap` degrees, within `span`.
    """
    contours = [rng.integers(-leap, leap + 1, len(rhythm)) for rhythm in rhythms]
    place = int(rng.integers(0, span // 2 + 1))
    phrase = []
    for bar, chord in enumerate(chords):
        rhythm, contour = rhythms[bar % len(rhythms)], contours[bar % len(rhythms)]
        notes = []
        for (beat, beats), step in zip(rhythm, contour, strict=True):
            place = int(np.clip(place + step, -1, span))
            if beat == 0:
                tones = [d for d in range(-1, span + 1) if (d - chord) % len(scale) in (0, 2, 4)] or [place]
                place = min(tones, key=lambda d: abs(d - place))
            notes.append((beat, beats, degree_pitch(scale, tonic, place)))
        phrase.append(notes)
    return phrase


def random_rhythm(rng: np.random.Generator, beats_per_bar: int, steps_per_beat: int, density: float) -> tuple[Hit, ...]:
    """A bar's rhythm: an onset on the first beat, others by chance, denser on whole beats; notes touch."""
    steps = beats_per_bar * steps_per_beat
    chance = np.where(np.arange(steps) % steps_per_beat == 0, min(1.0, 1.6 * density), density)
    onsets = [0, *(int(i) for i in np.flatnonzero(rng.random(steps) < chance) if i > 0), steps]
    return tuple((a / steps_per_beat, (b - a) / steps_per_beat) for a, b in pairwise(onsets))

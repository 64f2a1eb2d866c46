"""Every measure by its machine name: label, unit, one sentence, and which way is better.

metrics/evaluate.json uses the names; tables and pages take everything a reader sees from here.
"""

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "closer to real"]
Group = Literal["likelihood", "conditioning", "distance", "sound", "rhythm and pitch", "within the clip", "copying"]

EMBEDDINGS = {"logmel": "log-mel", "musicnn": "musicnn", "vgg": "VGG"}
"""Name → as a reader knows it. docs/measures.md says what each of them is."""


@dataclass(frozen=True)
class Entry:
    """What a reader is told about a measure."""

    name: str
    label: str
    unit: str
    """As printed behind the figure; empty for a plain number."""
    group: Group
    explanation: str
    better: Better
    digits: int = 2
    """Decimals to print."""
    percent: bool = False
    """The value is a share of 1 and is printed in percent."""

    least: float | None = 0.0
    most: float | None = None
    """What the measure can be at all: no interval reaches beyond."""

    def shown(self, value: float | None) -> str:
        """The value with its unit; a dash where there is none."""
        if value is None:
            return "–"
        if self.percent:
            return f"{100 * value:.{self.digits}f} %"
        return f"{value:.{self.digits}f} {self.unit}".rstrip()


def _distances(key: str, name: str) -> tuple[Entry, ...]:
    """The distances in one embedding."""
    return (
        Entry(f"frechet_{key}", f"Fréchet distance, {name}", "", "distance",
              "How far the sounds are from the genre's training songs, each as a Gaussian cloud of points.", "lower"),
        Entry(f"kernel_{key}", f"Kernel distance, {name}", "", "distance",
              "The same without taking the clouds for Gaussians (KAD): 0, give or take, is the genre itself.", "lower",
              least=None),
        Entry(f"density_{key}", f"Density, {name}", "", "distance",
              "How many training points are near each of the sounds' points, over what one of their own would have: "
              "whether what is there is like the genre.", "higher"),
        Entry(f"coverage_{key}", f"Coverage, {name}", "", "distance",
              "Share of the training points that have one of the sounds' points near: whether all of it is there.",
              "higher", 0, True, most=1.0),
    )  # fmt: skip


ENTRIES = (
    Entry("bits_per_sample", "Held-out bits per sample", "bits", "likelihood",
          "How badly the network predicts the next sample of songs it never heard; guessing blindly costs 8 bits.",
          "lower"),
    Entry("genre_accuracy", "Genre accuracy", "", "conditioning",
          "Share of held-out songs that the network finds likeliest under their own genre.", "higher", 0, True,
          most=1.0),
    *(entry for key, name in EMBEDDINGS.items() for entry in _distances(key, name)),
    Entry("rms", "Level (RMS)", "dBFS", "sound", "Mean power; a full-scale sine has -3 dBFS.", "closer to real", 1,
          least=None),
    Entry("dynamic_range", "Dynamic range", "dB", "sound",
          "Level of the loud 20 ms frames (95th percentile) above the quiet ones (10th).", "closer to real", 1),
    Entry("silence_share", "Silence", "", "sound", "Share of 20 ms frames quieter than -60 dBFS.", "closer to real", 1,
          True, most=1.0),
    Entry("clipping_share", "Clipping", "", "sound", "Share of samples at 0.99 of full scale or beyond.",
          "closer to real", 2, True, most=1.0),
    Entry("longest_constant_run", "Longest stuck stretch", "s", "sound",
          "Longest stretch in which the sample value never changes.", "closer to real", 3),
    Entry("spectral_flatness", "Spectral flatness", "", "sound",
          "Geometric over arithmetic mean of the mean power spectrum: 1 is white noise, 0 pure tones.",
          "closer to real", 3, most=1.0),
    Entry("spectral_centroid", "Spectral centroid", "Hz", "sound", "Centre of gravity of the power spectrum.",
          "closer to real", 0),
    Entry("spectral_rolloff", "Roll-off (85 %)", "Hz", "sound", "85 % of the power lies below this frequency.",
          "closer to real", 0),
    Entry("zero_crossings", "Zero crossings", "a second", "sound", "How often the waveform changes sign.",
          "closer to real", 0),
    Entry("code_entropy", "Entropy of the codes", "bits", "sound",
          "How many of the 256 mu-law codes are in use, and how evenly; 8 bits are all of them alike.",
          "closer to real"),
    Entry("conditional_entropy", "Entropy after one code", "bits", "sound",
          "The same once the previous code is known: how much of each sample is news.", "closer to real"),
    Entry("onset_rate", "Onsets", "a second", "rhythm and pitch", "Sudden rises of the spectrum, such as drum hits.",
          "closer to real", 1),
    Entry("tempo_strength", "Tempo strength", "", "rhythm and pitch",
          "How well the onsets repeat at a steady tempo (40 to 240 beats a minute): 1 is a metronome.",
          "closer to real", most=1.0),
    Entry("tempo", "Tempo", "bpm", "rhythm and pitch",
          "The tempo at which they repeat best; means nothing where the tempo strength is low.", "closer to real", 0),
    Entry("tonal_clarity", "Tonal clarity", "", "rhythm and pitch",
          "How much of the power few pitch classes hold at a time: 1 is a single note, 0 noise.", "closer to real", 3,
          most=1.0),
    Entry("drift_level", "Drift of level", "dB", "within the clip",
          "Level of the last quarter of the clip less that of the first.", "closer to real", 1, least=None),
    Entry("drift_spectrum", "Drift of spectrum", "dB", "within the clip",
          "Mean difference of the mel bands between the first and the last quarter.", "closer to real", 1),
    Entry("longest_match", "Longest match with a training song", "s", "copying",
          "Longest stretch whose spectral fingerprint nearly equals that of a stretch of any training song.",
          "closer to real", 1),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}
UNITS = {entry.name: "share" if entry.percent else entry.unit for entry in ENTRIES}
"""Unit of each measure as metrics/evaluate.json has it."""

"""Which files are kept, and why the others are not.

In: the facts about each file, and the parameters. Out: the manifest's rows. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from src.base.walk import Seen
from src.config import GenreRule
from src.manifest import genres, rows
from src.manifest.facts import FileFacts, SoundFacts
from src.manifest.rows import Row
from src.manifest.tags import Tags


@dataclass(frozen=True)
class Rules:
    """The parameters that decide about a file."""

    genres: Mapping[str, GenreRule]
    minimum_duration_s: float
    require_year: bool

    def tag_reason(self, genre_texts: Sequence[str], year: int | None) -> str:
        """Why the tags alone exclude a file; empty if they do not."""
        if not genre_texts:
            return "no genre tag"
        if genres.genre_of(genre_texts, self.genres) is None:
            return "a genre that is not studied"
        if year is None and self.require_year:
            return "no year"
        return ""

    def want(self, tagged: Tags) -> bool:
        """Whether the tags leave the file a chance to be kept, so that the rest of it is worth reading."""
        return not self.tag_reason(tagged.genres, tagged.year)


def row_of(seen: Seen, facts: FileFacts | None, sound: SoundFacts | None, rules: Rules) -> Row:
    """The row of one file, duplicates not considered."""
    row = Row(rows.shown(seen.path), "skipped", seen.reason, size_bytes=seen.size_bytes if not seen.reason else None)
    if facts is None:
        return row
    row = replace(
        row,
        reason=facts.reason,
        genre=genres.genre_of(facts.genre_texts, rules.genres),
        genre_text="; ".join(facts.genre_texts) or None,
        year=facts.year,
        format=facts.format,
        file_sha256=facts.file_sha256,
        audio_sha256=facts.audio_sha256,
    )
    reason = facts.reason or rules.tag_reason(facts.genre_texts, facts.year)
    if reason or sound is None:
        return replace(row, reason=reason or "not decoded")
    row = replace(row, rate_hz=sound.rate_hz, channels=sound.channels)
    if sound.frames is not None and sound.rate_hz:
        row = replace(row, duration_s=sound.frames / sound.rate_hz)
    if sound.reason:
        return replace(row, reason=sound.reason)
    if not long_enough(sound, rules.minimum_duration_s):
        return replace(row, reason=f"shorter than {rules.minimum_duration_s:g} s")
    return replace(row, status="kept", reason="")


def long_enough(sound: SoundFacts, minimum_duration_s: float) -> bool:
    """Whether the decoded samples fill the minimum; one sample too few is too few."""
    return sound.frames is not None and sound.rate_hz is not None and sound.frames >= minimum_duration_s * sound.rate_hz


def mark_duplicates(listed: Sequence[Row], groups: Sequence[Sequence[int]]) -> list[Row]:
    """Keep the best copy of each group of the same audio (indices into `listed`, kept rows only)."""
    result = list(listed)
    for group in groups:
        first = min(group, key=lambda index: _worth(listed[index]))
        for index in group:
            if index != first:
                same = listed[index].audio_sha256 == listed[first].audio_sha256
                reason = (
                    "the same audio as another file" if same else "the same recording as another file, encoded again"
                )
                result[index] = replace(listed[index], status="skipped", reason=reason)
    return result


_LOSSLESS = ("flac", "wav", "aiff", "wavpack", "ape", "tta", "w64", "caf")


def _worth(row: Row) -> tuple[bool, int, str]:
    """Sort key: lossless first, then the larger file, then the path."""
    return row.format not in _LOSSLESS, -(row.size_bytes or 0), row.path

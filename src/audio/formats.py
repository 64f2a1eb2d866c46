"""What a file is by its content, whatever its name says, and where the parts of its container lie.

In: an open file. Out: the name of its format, or why it is not one that holds music; the chunks of WAV and AIFF.
"""

import io
import re
import struct
from collections.abc import Iterator
from mmap import mmap
from typing import IO, BinaryIO

HEAD_BYTES = 64 * 1024
MAX_CHUNKS = 10_000
"""More than any honest file has: a hostile one is not followed further."""


_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_PLAIN = (
    (b"wvpk", "wavpack"),
    (b"MAC ", "ape"),
    (b"MPCK", "musepack"),
    (b"MP+", "musepack"),
    (b"TTA1", "tta"),
    (b"DSD ", "dsf"),
    (b"FRM8", "dff"),
    (b"caff", "caf"),
    (b".snd", "au"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (_ASF, "wma"),
)
_OTHER = (
    (b"\xff\xd8\xff", "a picture"),
    (b"\x89PNG", "a picture"),
    (b"GIF8", "a picture"),
    (b"BM", "a picture"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "an archive"),
    (b"Rar!", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"SQLite format 3", "a database"),
    (b"MThd", "MIDI notes, not sound"),
    (b"FLV", "a video (Flash)"),
    (b"\x00\x05\x16\x07", "macOS metadata (AppleDouble)"),
    (b"\x00\x00\x01\xba", "a video (MPEG)"),
)


def format_of(file: BinaryIO) -> tuple[str | None, str]:
    """(format, "") for a file that holds music, else (None, what it seems to be).

    file: opened in binary mode; read from its beginning, only headers. Formats: mp3, aac, flac, vorbis, opus, ogg,
    m4a, wav, aiff, wma, wavpack, ape, musepack, tta, dsf, dff, caf, au, w64, matroska.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        return None, "empty"
    if head[:3] == b"ID3" and len(head) >= 10:
        return _behind_id3(file, head)
    return _by_magic(head)


def id3_size(head: bytes) -> int:
    """Bytes an ID3v2 tag takes at the beginning of `head`, its own header (and footer) included; 0 without one."""
    if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + 10 + (10 if head[3] == 4 and head[5] & 0x10 else 0)


def _behind_id3(file: BinaryIO, head: bytes) -> tuple[str | None, str]:
    position = 0
    while size := id3_size(head):
        position += size
        file.seek(position)
        head = file.read(HEAD_BYTES)
        if not head:
            return None, "only a tag, no sound"
    if not head.strip(b"\0"):
        # Padding that the tag's own size does not count.
        while head and not head.strip(b"\0"):
            head = file.read(HEAD_BYTES)
        if not head:
            return None, "only a tag, no sound"
    head = head.lstrip(b"\0") + file.read(4096)
    name, _ = _by_magic(head)
    # Behind an ID3 tag broken frames are still an MP3: let its decoder judge.
    return (name, "") if name else ("mp3", "")


def _by_magic(head: bytes) -> tuple[str | None, str]:
    for magic, name in _PLAIN:
        if head.startswith(magic):
            return name, ""
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return ("wav", "") if head[8:12] == b"WAVE" else (None, "a video or picture (RIFF)")
    if kind == b"FORM":
        return ("aiff", "") if head[8:12] in (b"AIFF", b"AIFC") else (None, "an IFF file without sound")
    if kind == b"fLaC":
        return "flac", ""
    if kind == b"OggS":
        return _ogg(head)
    if kind == b"\x1aE\xdf\xa3":
        return _matroska(head)
    if (
        head[4:8] == b"ftyp"
        or head[4:8] in (b"moov", b"mdat")
        or (head[4:8] in (b"free", b"wide", b"skip") and b"moov" in head)
    ):
        return "m4a", ""
    for magic, what in _OTHER:
        if head.startswith(magic):
            return None, what
    frames = _frame_syncs(head)
    if frames:
        return frames, ""
    if not head.strip(b"\0"):
        return None, "only zeros"
    return None, "text" if _is_text(head) else "not a format known here"


def _ogg(head: bytes) -> tuple[str | None, str]:
    first = head[:512]
    if b"OpusHead" in first:
        return "opus", ""
    if b"\x01vorbis" in first:
        return "vorbis", ""
    if b"\x7fFLAC" in first or b"Speex   " in first:
        return "ogg", ""
    return None, "a video (Ogg)" if b"theora" in first else "an Ogg file without sound"


def _matroska(head: bytes) -> tuple[str | None, str]:
    """By the codecs of the tracks (element 0x86), which stand in front of the sound."""
    if re.search(rb"\x86[\x82-\xbf]V_[A-Z0-9]", head):
        return None, "a video (Matroska)"
    return ("matroska", "") if re.search(rb"\x86[\x82-\xbf]A_[A-Z0-9]", head) else (None, "Matroska without sound")


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    sample = head[:4096]
    printable = sum(byte >= 32 or byte in (9, 10, 13) for byte in sample)
    return b"\0" not in sample and printable >= 0.97 * len(sample)


CHUNK_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}|")


def chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of content, size) of each chunk of a RIFF, RIFX, RF64 or FORM file; sizes end with the file."""
    total = file.seek(0, io.SEEK_END)
    file.seek(0)
    kind = file.read(4)
    order = ">" if kind in (b"FORM", b"RIFX") else "<"
    position = 12
    long_data = 0
    for _ in range(MAX_CHUNKS):
        if position + 8 > total:
            return
        file.seek(position)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64":
            long_data = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"data" and (size == 0xFFFFFFFF or (not size and not CHUNK_NAME.fullmatch(file.read(4)))):
            size = long_data or total  # never filled in: it was written to a pipe, or the writer was stopped
        size = min(size, total - position - 8)
        yield name, position + 8, size
        position += 8 + size + size % 2


_BITRATES = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def mpeg_frame_samples(head: bytes | mmap, at: int) -> tuple[int, int]:
    """(samples, rate in Hz) of the MPEG audio frame whose header stands at `at`."""
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    rate_hz = _RATES[version][head[at + 2] >> 2 & 3]
    return 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152, rate_hz


def mpeg_frame_bytes(head: bytes | mmap, at: int) -> int:
    """Length of the MPEG audio frame (layers I to III) whose header stands at `at`; 0 if there is none.

    Source: ISO/IEC 11172-3, 2.4.1.3; the MPEG-2.5 rates are an extension in wide use.
    """
    if at + 4 > len(head) or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    bitrate, rate, padding = head[at + 2] >> 4, head[at + 2] >> 2 & 3, head[at + 2] >> 1 & 1
    if version == 1 or layer == 0 or bitrate in (0, 15) or rate == 3:
        return 0
    kbps = _BITRATES[(3 if version == 3 else 2, layer)][bitrate - 1]
    rate_hz = _RATES[version][rate]
    if layer == 3:
        return (12 * kbps * 1000 // rate_hz + padding) * 4
    return (72 if layer == 1 and version != 3 else 144) * kbps * 1000 // rate_hz + padding


def _adts_frame_bytes(head: bytes, at: int) -> int:
    if at + 7 > len(head) or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:
        return 0
    return (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5


def _frame_syncs(head: bytes) -> str | None:
    """mp3 or aac when three frames follow each other somewhere in the first bytes (two if the file ends there)."""
    at = head.find(b"\xff")
    while 0 <= at < len(head) - 4:
        for name, length_of in (("mp3", mpeg_frame_bytes), ("aac", _adts_frame_bytes)):
            end, count = at, 0
            while count < 3 and (length := length_of(head, end)):
                end, count = end + length, count + 1
            if count == 3 or (count >= 1 and at == 0 and end >= len(head) - 4):
                return name
        at = head.find(b"\xff", at + 1)
    return None

"""Decoding to the end, and telling damage from trouble."""

import base64
import io
import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.mp4
import mutagen.oggopus
import mutagen.oggvorbis
import numpy as np
import pytest
import soundfile

from src.audio import decode, ffmpeg
from src.audio.decode import open_sound
from src.audio.sound import Undecodable
from src.base.errors import Unread
from tests.sounds import encode, id3v1, id3v2, notes, run_ffmpeg, tag, write


def seconds(path: Path, form: str) -> float:
    """Length of what is decoded."""
    with open_sound(path, form) as sound:
        return sum(len(block) for block in sound.blocks) / sound.rate_hz


# Joined and unfinished files ----------------------------------------------------------------------------------------
def joined(path: Path, first: tuple[str, ...], second: tuple[str, ...]) -> Path:
    """Two songs of two seconds in one file."""
    parts = [
        encode(path.with_name(f"{n}{path.suffix}"), n, *more, duration_s=2.0) for n, more in ((1, first), (2, second))
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


BARE = ("-write_xing", "0", "-id3v2_version", "0")
VORBIS = ("-c:a", "libvorbis")


@pytest.mark.parametrize(
    ("name", "form", "first", "second"),
    [
        ("same.mp3", "mp3", BARE, BARE),
        ("rate.mp3", "mp3", (*BARE, "-ar", "44100"), (*BARE, "-ar", "32000")),
        ("channels.mp3", "mp3", (*BARE, "-ac", "1"), (*BARE, "-ac", "2")),
        ("chained.ogg", "vorbis", VORBIS, VORBIS),
        ("chained.opus", "opus", (), ()),
        ("same.flac", "flac", (), ()),
        ("rate.flac", "flac", (), ("-ar", "32000")),
        ("same.aac", "aac", ("-f", "adts"), ("-f", "adts")),
    ],
)
def test_joined_files_are_decoded_behind_the_seam(
    tmp_path: Path, name: str, form: str, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    assert seconds(joined(tmp_path / name, first, second), form) == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize(
    ("name", "form", "first", "second"),
    [
        ("tag between.mp3", "mp3", ("-id3v2_version", "3"), ("-id3v2_version", "3")),
        ("rate.ogg", "vorbis", VORBIS, (*VORBIS, "-ar", "32000")),
        ("channels.ogg", "vorbis", VORBIS, (*VORBIS, "-ac", "1")),
        ("a.wav", "wav", (), ()),
        ("a.aiff", "aiff", (), ()),
        ("a.m4a", "m4a", (), ()),
        ("a.wma", "wma", (), ()),
        ("a.caf", "caf", (), ()),
        ("a.w64", "w64", (), ()),
        ("a.au", "au", (), ()),
        ("a.tta", "tta", (), ()),
    ],
)
def test_a_seam_that_no_decoder_passes_is_named(
    tmp_path: Path, name: str, form: str, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    with pytest.raises(Undecodable, match="several files joined into one"):
        seconds(joined(tmp_path / name, first, second), form)


def test_an_mp3_without_a_header_for_its_length_is_read_to_its_end(tmp_path: Path) -> None:
    song = notes(3, 20.0, 44_100, 2)
    song[:44_100] += np.random.default_rng(1).normal(0, 0.3, (44_100, 2)).astype(np.float32)  # large frames first
    wave = io.BytesIO()
    soundfile.write(wave, song.clip(-1, 1), 44_100, format="WAV")
    path = tmp_path / "vbr.mp3"
    run_ffmpeg(wave.getvalue(), "-i", "pipe:0", "-q:a", "2", "-write_xing", "0", str(path))
    with soundfile.SoundFile(path) as file:
        assert file.frames < 15 * 44_100  # what libsndfile takes for the end
    assert seconds(path, "mp3") == pytest.approx(20.0, abs=0.1)
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 5 < seconds(cut, "mp3") < 15


def unfilled_wav(seed: int) -> bytes:
    """A WAV whose writer was stopped before it filled in any size."""
    pcm = (notes(seed, 3.2)[:, 0] * 32767).astype("<i2").tobytes()
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return b"RIFF\0\0\0\0WAVE" + fmt + b"data\0\0\0\0" + pcm


def test_sizes_that_were_never_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(unfilled_wav(1))
    assert seconds(path, "wav") == pytest.approx(3.2)
    soundfile.write(path, np.zeros(0), 16_000)
    assert seconds(path, "wav") == 0


def counting_less(path: Path, place: bytes, at: int, number: bytes) -> Path:
    """A file whose header counts less sound than it holds: `number` stands so far behind `place`."""
    data = bytearray(path.read_bytes())
    start = data.index(place) + at
    data[start : start + len(number)] = number
    path.write_bytes(data)
    return path


def test_what_a_header_counts_is_not_the_end(tmp_path: Path) -> None:
    second = (16_000).to_bytes(4, "big")
    flac = counting_less(write(tmp_path / "a.flac", 1, 10.0), b"fLaC", 22, second)
    assert seconds(flac, "flac") == pytest.approx(10.0)
    xing = counting_less(
        encode(tmp_path / "a.mp3", 1, "-q:a", "4", duration_s=10.0), b"Xing", 8, (38).to_bytes(4, "big")
    )
    assert seconds(xing, "mp3") == pytest.approx(10.0, abs=0.15)
    wav = counting_less(write(tmp_path / "a.wav", 1, 10.0), b"data", 4, (32_000).to_bytes(4, "little"))
    aiff = counting_less(write(tmp_path / "a.aiff", 1, 10.0), b"SSND", 4, (32_008).to_bytes(4, "big"))
    sun = counting_less(write(tmp_path / "a.au", 1, 10.0, format="AU"), b".snd", 8, (32_000).to_bytes(4, "big"))
    for path, form in ((wav, "wav"), (aiff, "aiff"), (sun, "au")):
        with pytest.raises(Undecodable, match="stops before the end of the sound"):
            seconds(path, form)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "au", "caf", "w64", "ogg", "mp3", "mka"])
def test_what_was_written_to_a_pipe_is_read_to_its_end(tmp_path: Path, suffix: str) -> None:
    whole = encode(tmp_path / "whole.wav", 1)
    form = {"mka": "matroska", "ogg": "opus"}.get(suffix, suffix)
    muxer = {"mka": "matroska"}.get(suffix, suffix)
    more = ["-c:a", "libopus"] if suffix in ("ogg", "mka") else []
    command = [ffmpeg.executable(), "-v", "error", "-i", str(whole), *more, "-f", muxer, "-"]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if made.returncode:
        pytest.skip(f"ffmpeg does not write {suffix} to a pipe")
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(made.stdout)
    assert seconds(path, form) == pytest.approx(3.2, abs=0.15)


# What is not sound --------------------------------------------------------------------------------------------------
def picture(data: bytes, mime: str = "image/jpeg") -> bytes:
    """A FLAC picture block."""
    block = mutagen.flac.Picture()
    block.data, block.mime, block.type = data, mime, 3
    return bytes(block.write())


JUNK = random.Random(1).randbytes(3000)
BAD_PICTURES = {
    "noise": b"\xff\xd8\xff\xe1" + JUNK,
    "empty": b"",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 " + JUNK[:24],
    "gif": b"GIF89a" + JUNK,
    "png": b"\x89PNG\r\n\x1a\n" + JUNK,
    "bmp": b"BM" + JUNK,
    "html": b"<html>404 not found</html>" * 20,
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
@pytest.mark.parametrize("form", ["opus", "vorbis", "m4a", "wma", "wavpack", "aac", "mp3"])
def test_a_bad_cover_does_not_condemn_the_sound(tmp_path: Path, form: str, kind: str) -> None:
    data = BAD_PICTURES[kind]
    suffix = {"vorbis": "ogg", "wavpack": "wv"}.get(form, form)
    path = encode(tmp_path / f"a.{suffix}", 1, *(VORBIS if form == "vorbis" else ()))
    if form in ("opus", "vorbis"):
        comments = (mutagen.oggopus.OggOpus if form == "opus" else mutagen.oggvorbis.OggVorbis)(path)
        comments["metadata_block_picture"] = [base64.b64encode(picture(data)).decode()]
        comments.save()
    elif form == "m4a":
        atoms = mutagen.mp4.MP4(path)
        atoms["covr"] = [mutagen.mp4.MP4Cover(data, mutagen.mp4.MP4Cover.FORMAT_JPEG)]
        atoms.save()
    elif form == "wma":
        tags = mutagen.asf.ASF(path)
        cover = b"\3" + struct.pack("<I", len(data)) + "image/jpeg\0\0".encode("utf-16-le") + data
        tags["WM/Picture"] = [mutagen.asf.ASFByteArrayAttribute(cover)]
        tags.save()
    elif form == "wavpack":
        ape = mutagen.apev2.APEv2(path)
        ape["Cover Art (Front)"] = mutagen.apev2.APEValue(b"cover.jpg\0" + data, mutagen.apev2.BINARY)
        ape.save(path)
    else:
        mine = mutagen.id3.ID3()
        mine.add(mutagen.id3.APIC(mime="image/jpeg", type=3, data=data))
        mine.save(path)
    assert seconds(path, form) == pytest.approx(3.2, abs=0.15)


@pytest.mark.parametrize("behind", ["id3v1", "ape", "both"])
def test_a_tag_behind_a_flac_does_not_condemn_the_sound(tmp_path: Path, behind: str) -> None:
    path = tag(write(tmp_path / "a.flac", 1))
    ape = io.BytesIO()
    mine = mutagen.apev2.APEv2()
    mine["Genre"] = "Rock"
    mine.save(ape)
    tags = {"id3v1": id3v1(17), "ape": ape.getvalue(), "both": ape.getvalue() + id3v1(17)}
    path.write_bytes(id3v2({"TCON": "Rock"}) + path.read_bytes() + tags[behind])
    assert seconds(path, "flac") == pytest.approx(3.2)


def test_damage_in_the_sound_is_still_damage(tmp_path: Path) -> None:
    for name, form in (
        ("a.m4a", "m4a"),
        ("a.opus", "opus"),
        ("a.wma", "wma"),
        ("a.wv", "wavpack"),
        ("a.mka", "matroska"),
    ):
        path = encode(tmp_path / name, 1, *(("-movflags", "faststart") if form == "m4a" else ()))
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + JUNK + data[middle + len(JUNK) :])
        with pytest.raises(Undecodable, match="damaged"):
            seconds(path, form)


# High rates ---------------------------------------------------------------------------------------------------------
def dsf(rate_hz: int, duration_s: float, pitch_hz: float) -> bytes:
    """A one-bit tone in one channel, first-order noise shaping."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    level = np.floor(np.cumsum(0.5 + 0.25 * np.sin(2 * np.pi * pitch_hz * time_s)))
    bits = np.diff(level, prepend=0).astype(np.uint8)
    sound = np.packbits(bits, bitorder="little").tobytes()
    padded = sound + bytes(-len(sound) % 4096)
    fmt = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, rate_hz, 1, len(bits), 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(padded)) + padded
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(fmt) + len(data), 0) + fmt + data


@pytest.mark.parametrize("times", [64, 128, 256, 512])
def test_dsd_of_any_rate(tmp_path: Path, times: int) -> None:
    path = tmp_path / "a.dsf"
    path.write_bytes(dsf(times * 44_100, 0.25, 1000.0))
    with open_sound(path, "dsf") as sound:
        assert sound.rate_hz <= decode.HIGH_RATE_HZ
        tone = np.concatenate(list(sound.blocks))[:, 0]
    assert len(tone) / sound.rate_hz == pytest.approx(0.25, abs=0.02)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    pitch_hz = np.fft.rfftfreq(len(tone), 1 / sound.rate_hz)
    audible = (pitch_hz > 100) & (pitch_hz < 20_000)
    assert pitch_hz[audible][spectrum[audible].argmax()] == pytest.approx(1000, abs=8)


# Trouble ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in ffmpeg's place."""

    def put(script: str) -> None:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(ffmpeg, "executable", lambda: str(path))

    return put


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -9 $$", "its decoder was stopped"),
        ("kill -15 $$", "its decoder was stopped"),
        ("exit 137", "its decoder was stopped"),  # the shell's word for a child that was killed
        ("exit 255", "its decoder failed: no permission to read it"),
        ("exit 251", "its decoder failed: cannot be read (Input/output error)"),
        ("exit 244", "its decoder failed: too little memory to read it"),
        ("echo '[aac] Cannot allocate memory' >&2; exit 1", "too little memory to read it"),
        ("exit 127", "its decoder was stopped"),
    ],
)
def test_a_decoder_that_is_stopped_says_nothing_about_the_file(
    tmp_path: Path, fake: Callable[[str], None], script: str, reason: str
) -> None:
    path = encode(tmp_path / "a.m4a", 1)
    fake(script)
    with pytest.raises(Unread) as raised:
        seconds(path, "m4a")
    assert str(raised.value) == reason
    assert raised.value.passing


def test_complaints_about_pictures_and_films_do_not_count(tmp_path: Path, fake: Callable[[str], None]) -> None:
    path = encode(tmp_path / "a.m4a", 1)
    real = ffmpeg.executable()
    about = ["[mjpeg @ 0x1] overread 8", "    Last message repeated 3 times", "[h264 @ 0x2] no frame!"]
    many = "i=0; while [ $i -lt 3000 ]; do echo '[png @ 0x3] chunk too big' >&2; i=$((i+1)); done"
    complaints = "; ".join(f"echo '{line}' >&2" for line in about)
    fake(f'{many}; {complaints}; exec "{real}" "$@"')
    assert seconds(path, "m4a") == pytest.approx(3.2, abs=0.15)
    fake(f'{complaints}; echo \'[aac @ 0x4] invalid band type\' >&2; exec "{real}" "$@"')
    with pytest.raises(Undecodable, match="damaged"):
        seconds(path, "m4a")


def test_a_decoder_that_is_killed_in_the_middle(tmp_path: Path, fake: Callable[[str], None]) -> None:
    path = encode(tmp_path / "a.m4a", 1)
    real = ffmpeg.executable()
    fake(f'"{real}" "$@" | head -c 300000; kill -9 $$')
    with pytest.raises(Unread, match="its decoder was stopped"):
        seconds(path, "m4a")


def test_a_crash_may_be_the_files_fault(tmp_path: Path, fake: Callable[[str], None]) -> None:
    path = encode(tmp_path / "a.m4a", 1)
    fake("kill -11 $$")
    with pytest.raises(Unread, match="crashed") as raised:
        seconds(path, "m4a")
    assert not raised.value.passing


def test_an_ffmpeg_that_is_not_there_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.m4a", 1)
    monkeypatch.setattr(ffmpeg, "executable", lambda: str(tmp_path / "none"))
    with pytest.raises(Unread, match=r"ffmpeg cannot be started \(FileNotFoundError\)"):
        seconds(path, "m4a")


@pytest.mark.parametrize("form", ["flac", "m4a"])
def test_a_file_that_goes_away_while_it_is_decoded_is_decoded_to_its_end(tmp_path: Path, form: str) -> None:
    path = encode(tmp_path / "library" / f"a.{form}", 1)
    with open_sound(path, form) as sound:
        path.parent.rename(tmp_path / "away")
        assert sum(len(block) for block in sound.blocks) == pytest.approx(3.2 * 44_100, abs=2000)
    with pytest.raises(FileNotFoundError):
        seconds(path, form)


def test_another_content_than_was_meant(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", 1)
    with pytest.raises(Unread, match="changed in the meantime"), open_sound(path, "flac", "0" * 64):
        pass


def test_a_large_file_is_copied_to_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "COPY_BYTES", 1000)
    monkeypatch.delattr(os, "memfd_create")
    assert seconds(write(tmp_path / "a.wav", 1), "wav") == pytest.approx(3.2)
    assert seconds(encode(tmp_path / "a.m4a", 1), "m4a") == pytest.approx(3.2, abs=0.1)

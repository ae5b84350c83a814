"""What the header of a media file says: format, size in pixels, duration. What it does not say is not there."""

import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from goemo_cli.core.errors import CorruptArtifactError

_MOST_BOXES = 10_000
_CONTAINERS = (b"moov", b"trak", b"mdia")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_BRANDS = {b"qt  ": "mov"}


def media_facts(path: Path) -> dict[str, Any]:
    """Facts that the file itself states.

    Pictures (PNG, JPEG, GIF, WebP, ...) are read by Pillow, WAV by the standard library, MP4 and MOV by their boxes.

    Returns:
        `kind` (image, audio, video), `format`, and if they are known `width` and `height` in pixels,
        `duration_seconds`, `frames`, `frames_per_second`, `sample_rate` in Hz, `channels`. Empty for any other file.

    Raises:
        CorruptArtifactError: the file claims a format and is damaged.
    """
    with path.open("rb") as stream:
        head = stream.read(16)
    try:
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            return _wav(path)
        if head[4:8] in (b"ftyp", b"moov"):
            return _mp4(path)
        return _picture(path, is_known=head.startswith(_PICTURES))
    except (EOFError, wave.Error, struct.error) as error:
        raise CorruptArtifactError(path, f"is damaged: its header ends too early ({error})") from error


def _wav(path: Path) -> dict[str, Any]:
    with wave.open(str(path), "rb") as sound:
        rate = sound.getframerate()
        return {
            "kind": "audio",
            "format": "wav",
            "sample_rate": rate,
            "channels": sound.getnchannels(),
            **({"duration_seconds": sound.getnframes() / rate} if rate else {}),
        }


def _picture(path: Path, *, is_known: bool) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(path)
    except UnidentifiedImageError as error:
        if is_known:
            raise CorruptArtifactError(path, "is a damaged picture") from error
        return {}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptArtifactError(path, f"is a damaged picture ({error})") from error
    with picture:
        facts = {
            "kind": "image",
            "format": (picture.format or path.suffix.lstrip(".")).lower(),
            "width": picture.width,
            "height": picture.height,
        }
        frames = getattr(picture, "n_frames", 1)
        if frames == 1:
            return facts
        milliseconds = 0.0
        for frame in range(frames):
            picture.seek(frame)
            milliseconds += picture.info.get("duration", 0)
        moving = {"kind": "video", "frames": frames, "duration_seconds": milliseconds / 1000}
        if milliseconds:
            moving["frames_per_second"] = frames / (milliseconds / 1000)
        return facts | moving


def _mp4(path: Path) -> dict[str, Any]:
    """ISO/IEC 14496-12: `mvhd` has the duration, `tkhd` of a track with pictures their size, `stts` its frames."""
    facts: dict[str, Any] = {"kind": "audio", "format": "mp4"}
    handler, size, frames = b"", (0, 0), 0
    with path.open("rb") as stream:
        for kind, body in _boxes(stream, path.stat().st_size):
            if kind == b"ftyp":
                facts["format"] = _BRANDS.get(body[:4], "mp4")
            elif kind == b"mvhd":
                scale, duration = _times(body)
                if scale and duration:
                    facts["duration_seconds"] = duration / scale
            elif kind == b"tkhd":
                width, height = struct.unpack(">II", body[-8:])
                size = width >> 16, height >> 16
            elif kind == b"hdlr":
                handler = body[8:12]
            elif kind == b"stts":
                frames = _sample_count(body)
            if kind == b"stts" and handler == b"vide":
                facts |= {"kind": "video", "width": size[0], "height": size[1], "frames": frames}
    if facts["kind"] == "video" and facts.get("duration_seconds") and facts["frames"]:
        facts["frames_per_second"] = facts["frames"] / facts["duration_seconds"]
    return facts


def _times(body: bytes) -> tuple[int, int]:
    """Units per second and duration in units; version 1 has 64-bit times."""
    scale, duration = (
        struct.unpack_from(">IQ", body, 20) if body[:1] == b"\x01" else struct.unpack_from(">II", body, 12)
    )
    return scale, duration


def _sample_count(body: bytes) -> int:
    (entries,) = struct.unpack_from(">I", body, 4)
    return sum(
        struct.unpack_from(">I", body, 8 + 8 * at)[0] for at in range(min(entries, len(body) // 8 - 1))
    )


def _boxes(
    stream: BinaryIO, end: int, start: int = 0, left: int = _MOST_BOXES
) -> Iterator[tuple[bytes, bytes]]:
    """(type, body) of the boxes that matter, in file order; the media data is skipped, not read."""
    at = start
    while at + 8 <= end and left > 0:
        left -= 1
        stream.seek(at)
        size, kind = struct.unpack(">I4s", stream.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
            header = 16
        stop = end if size == 0 else at + size
        if stop > end or stop < at + header:
            raise struct.error(f"box {kind!r} ends outside its place")
        if kind in _CONTAINERS or kind in (b"minf", b"stbl"):
            yield from _boxes(stream, stop, at + header, left)
        elif kind in (b"ftyp", b"mvhd", b"tkhd", b"hdlr", b"stts"):
            stream.seek(at + header)
            yield kind, stream.read(stop - at - header)
        at = stop

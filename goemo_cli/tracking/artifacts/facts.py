"""Facts about an artifact that goemo reads from its files: sizes, framework, versions, rows, labels, media headers."""

import json
import math
import struct
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from goemo_cli.core.csv_files import TABLE_FORMATS, TableFormat, by_column, open_table
from goemo_cli.core.errors import CorruptArtifactError, DataFileError
from goemo_cli.tracking.environment import installed_versions

_LABEL_COLUMNS = ("labels", "true_labels", "label", "emotions")
LIBRARIES = ("torch", "transformers", "scikit-learn", "numpy", "tensorflow", "jax", "xgboost", "lightgbm")
"""Packages that models are made with, whose versions are recorded."""
_MOST_LABELS = 1_000
_LONGEST_HEADER = 100 * 2**20
_MOST_BOXES = 10_000
_CONTAINERS = (b"moov", b"trak", b"mdia")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_BRANDS = {b"qt  ": "mov"}


def size_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Number of files and bytes."""
    return {"n_files": len(files), "total_bytes": sum(path.stat().st_size for path in files.values())}


def model_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Framework, parameters and labels, as far as the files show them."""
    by_name = {Path(name).name: path for name, path in files.items()}
    facts: dict[str, Any] = {}
    if framework := _framework(set(by_name)):
        facts["framework"] = framework
    weights = [path for path in files.values() if path.suffix == ".safetensors"]
    counts = [_parameters(path) for path in weights]
    if weights and all(count is not None for count in counts):
        facts["parameters"] = sum(count or 0 for count in counts)
    config = _json_object(by_name.get("config.json"))
    if isinstance(names := config.get("id2label"), dict):
        facts["n_labels"] = len(names)
    if isinstance(architectures := config.get("architectures"), list):
        facts["architectures"] = architectures
    run = _json_object(by_name.get("manifest.json")).get("run")
    if isinstance(run, str):
        facts["goemo_run"] = run
    return facts | {"versions": installed_versions(LIBRARIES)}


def table_facts(files: Mapping[str, Path]) -> dict[str, Any]:
    """Rows of CSV, TSV and .npy files, how often each label occurs, and shape and type of arrays; no facts of other files.

    Labels are read from the first of the columns `labels`, `true_labels`, `label`, `emotions`, names joined by a comma.
    A file that cannot be read is listed as `unreadable`, with the reason.
    """
    rows: dict[str, int] = {}
    arrays: dict[str, Any] = {}
    labels: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for name, path in files.items():
        if format := TABLE_FORMATS.get(path.suffix.lower()):
            try:
                rows[name] = _count(path, format, labels)
            except DataFileError as error:
                unreadable[name] = str(error).rpartition(": ")[2]
        elif path.suffix.lower() == ".npy":
            try:
                arrays[name] = _array_facts(path)
            except (ValueError, EOFError) as error:
                unreadable[name] = str(error)
            else:
                rows[name] = (arrays[name]["shape"] or [1])[0]
    facts: dict[str, Any] = {"arrays": arrays} if arrays else {}
    if rows:
        facts |= {"rows": sum(rows.values())} | ({"rows_by_file": rows} if len(rows) > 1 else {})
    if labels:
        facts["label_distribution"] = dict(sorted(labels.items()))
    if unreadable:
        facts["unreadable"] = unreadable
    return facts


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


def _framework(names: set[str]) -> str | None:
    if "config.json" in names and names & {
        "model.safetensors",
        "pytorch_model.bin",
        "model.safetensors.index.json",
    }:
        return "transformers"
    suffixes = {Path(name).suffix for name in names}
    for suffix, framework in (
        (".onnx", "onnx"), (".safetensors", "safetensors"), (".pt", "pytorch"), (".pth", "pytorch"),
        (".joblib", "scikit-learn"), (".skops", "scikit-learn"), (".keras", "keras"),
    ):  # fmt: skip
        if suffix in suffixes:
            return framework
    return None


def _parameters(path: Path) -> int | None:
    """The number of parameters in a safetensors file, from its header alone; None if the header is damaged."""
    with path.open("rb") as stream:
        length = stream.read(8)
        if len(length) < 8 or (size := struct.unpack("<Q", length)[0]) > _LONGEST_HEADER:
            return None
        try:
            header = json.loads(stream.read(size))
            return sum(
                int(math.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__"
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def _json_object(path: Path | None) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _array_facts(path: Path) -> dict[str, Any]:
    """Shape and type in the header of a .npy file; ValueError or EOFError if it has none."""
    from numpy.lib import format as npy

    with path.open("rb") as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    return {"shape": list(shape), "dtype": str(dtype)}


def _count(path: Path, format: TableFormat, labels: Counter[str]) -> int:
    counted: Counter[str] = Counter()
    n_rows = 0
    with open_table(path, format) as (header, rows):
        column = next((name for name in _LABEL_COLUMNS if name in header), None)
        for _, row in by_column(path, header, rows):
            n_rows += 1
            if column is not None and len(counted) <= _MOST_LABELS:
                counted.update(name.strip() for name in row[column].split(",") if name.strip())
    if len(counted) <= _MOST_LABELS:  # more are no labels but texts
        labels.update(counted)
    return n_rows


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

"""Formats that predictions are written in."""

from collections.abc import Mapping
from typing import Literal

OutputFormat = Literal["jsonl", "csv", "parquet"]
BY_SUFFIX: Mapping[str, OutputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}

"""The comments that benchmarks use."""

from pathlib import Path

from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.goemotions import read_goemotions
from goemo_cli.services.data.find import load_sample


def read_comments(data_dir: Path | None) -> Dataset:
    """GoEmotions, or the sample without a folder."""
    return read_goemotions(data_dir) if data_dir else load_sample()

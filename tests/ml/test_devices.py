"""Devices and precision."""

import pytest
import torch

from goemo_cli.core.errors import SettingError
from goemo_cli.ml.models import devices


@pytest.fixture
def only_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("only_cpu")
def test_auto_is_the_cpu_where_there_is_nothing_else():
    assert devices.pick_device("auto") == devices.pick_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("only_cpu")
@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_a_setting_error(wanted: str):
    with pytest.raises(
        SettingError, match=rf"device: '{wanted}' is not available here; available: auto, cpu"
    ):
        devices.pick_device(wanted)


def test_auto_prefers_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.pick_device("auto").type == "cuda"


@pytest.mark.parametrize(
    ("wanted", "fast", "precision"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_precision_follows_the_hardware_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, wanted: str, fast: bool, precision: str
):
    monkeypatch.setattr(devices, "has_fast_bf16", lambda device: fast)
    assert devices.pick_precision(wanted, torch.device("cpu")) == precision


@pytest.mark.parametrize(
    ("features", "fast"),
    [({"amx_bf16": True}, True), ({"avx512_bf16": True}, True), ({"avx512_f": True, "amx_bf16": False}, False), ({}, False)],
)  # fmt: skip
def test_bf16_is_fast_where_the_cpu_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], fast: bool
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert devices.has_fast_bf16(torch.device("cpu")) is fast


def test_this_machines_cpu_can_be_asked_and_described():
    assert devices.has_fast_bf16(torch.device("cpu")) in (True, False)
    assert devices.describe_device(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} threads"
    assert devices.has_fast_bf16(torch.device("meta")) is False


@pytest.mark.gpu
def test_a_gpu_is_taken_and_named():
    assert devices.pick_device("auto").type == "cuda"
    assert devices.describe_device(torch.device("cuda"))

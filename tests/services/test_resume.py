"""A training that was interrupted continues, and ends with the bytes of an undisturbed one."""

import json
import multiprocessing
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    BusyError,
    CorruptArtifactError,
    DataError,
    NotFoundError,
    SettingError,
    TrainingStoppedError,
)
from goemo_cli.core.events import Event, Info, ignore
from goemo_cli.core.files import partial_paths
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.runs.locks import held
from goemo_cli.services.training.dry_run import plan_training
from goemo_cli.services.training.resume import find_interrupted, longer_training, resume
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.services.training.seeds import SeedsResult, resume_run, train_seeds
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import open_tracker
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from goemo_cli.tracking.journal import journal_path, read_journal
from tests.resuming import SignalAt, content_of, logged_steps, states_of
from tests.small_data import write_small_data
from tests.waiting import wait_for

STEPS = 10
"""Of one epoch: 300 comments in batches of 32."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Three epochs of a tiny model, with every step logged."""
    data = write_small_data(tmp_path_factory.mktemp("resume") / "data", train=300)
    flags = {"model.name": "tiny", "data.name": str(data), "training.epochs": 3}
    overrides = ["logging.wandb.log_every=1", "logging.tensorboard=true", "training.label_template=so {}"]
    return resolve_settings(None, flags, overrides)


@pytest.fixture(scope="module")
def undisturbed(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Checkpoint]:
    """A run that nothing interrupted."""
    layout = Layout(tmp_path_factory.mktemp("undisturbed"))
    return layout, train(config, layout=layout, tracker=open_tracker(config, layout=layout))


@pytest.fixture
def interrupt(config: TrainConfig, layout: Layout) -> Callable[[int], Path]:
    """`interrupt(n)`: the folder of a run that was stopped at its n-th progress event."""

    def start(count: int) -> Path:
        with pytest.raises(TrainingStoppedError):
            train(
                config,
                layout=layout,
                tracker=open_tracker(config, layout=layout),
                on_event=SignalAt(count, signal.SIGINT),
            )
        return find_interrupted("@latest", layout)

    return start


def continued(
    folder: Path, layout: Layout, on_event: Callable[[Event], None] = ignore, *, allow_changes: bool = False
) -> Checkpoint:
    """The result of resuming a run."""
    return resume(
        folder,
        layout=layout,
        open_tracker=partial(open_tracker, layout=layout),
        on_event=on_event,
        allow_changes=allow_changes,
    )


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)])
def test_it_ends_with_the_bytes_of_an_undisturbed_run(
    config: TrainConfig, layout: Layout, undisturbed: tuple[Layout, Checkpoint], numbers: tuple[int, ...]
) -> None:
    reference_layout, reference = undisturbed
    run = partial(train, config, layout=layout, tracker=open_tracker(config, layout=layout))
    for number in numbers:
        with pytest.raises(TrainingStoppedError, match=r"the state of step \d+ is saved") as stopped:
            run(on_event=SignalAt(7, number))
        assert stopped.value.signal == number
        folder = find_interrupted("@latest", layout)
        assert f"goemo train --resume {folder.name} --root {layout.root}" == stopped.value.resume
        run = partial(continued, folder, layout)
    finished = run()
    assert content_of(finished, layout) == content_of(reference, reference_layout)
    assert logged_steps(finished, layout) == logged_steps(reference, reference_layout)
    ours, theirs = (
        read_journal(journal_path(root.journals, run.run))
        for root, run in ((layout, finished), (reference_layout, reference))
    )
    assert [one.type for one in ours.artifacts(layout.root)] == [
        one.type for one in theirs.artifacts(reference_layout.root)
    ]
    assert ours.texts["requirements.txt"] == theirs.texts["requirements.txt"]
    assert not (finished.path / "state").exists()
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])


def test_only_a_training_that_begins_reads_the_label_names(
    config: TrainConfig, interrupt: Callable[[int], Path], layout: Layout
) -> None:
    """A saved state has all weights, and a plan needs none of them."""
    said: list[Event] = []
    plan_training(config, layout=layout, on_event=said.append)
    continued(interrupt(13), layout, said.append)
    assert not [event for event in said if isinstance(event, Info) and "label names" in event.message]
    begun: list[Event] = []
    train(config, layout=layout, on_event=begun.append)
    assert [event for event in begun if isinstance(event, Info) and "label names" in event.message]


def test_tensorboard_has_each_step_once(
    interrupt: Callable[[int], Path], layout: Layout, undisturbed: tuple[Layout, Checkpoint]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished, (reference_layout, reference) = continued(interrupt(13), layout), undisturbed
    curves = []
    for root, run in ((layout, finished.run), (reference_layout, reference.run)):
        events = EventAccumulator(str(root.output / "tensorboard" / str(run))).Reload()
        curves.append([(scalar.step, scalar.value) for scalar in events.Scalars("step/loss")])
    assert curves[0] == curves[1]
    assert [step for step, _ in curves[0]] == list(range(1, 3 * STEPS + 1))


def test_a_killed_training_continues(
    config: TrainConfig, layout: Layout, undisturbed: tuple[Layout, Checkpoint]
) -> None:
    reference_layout, reference = undisturbed
    process = multiprocessing.get_context("fork").Process(target=killed, args=(config, layout))
    process.start()
    wait_for(lambda: list(layout.models.glob("*/*/state/step-*/state.json")))
    process.kill()
    process.join()
    finished = continued(find_interrupted("@latest", layout), layout)
    assert content_of(finished, layout) == content_of(reference, reference_layout)


def killed(config: TrainConfig, layout: Layout) -> None:
    """Train in a copy of this process."""
    train(config, layout=layout, tracker=open_tracker(config, layout=layout))


def test_what_a_killed_process_was_writing_is_removed(
    interrupt: Callable[[int], Path], layout: Layout, undisturbed: tuple[Layout, Checkpoint]
) -> None:
    """A state copies the files of the checkpoint."""
    folder = interrupt(13)
    for name in (".goemo-partial-weights.bin", "state/.goemo-partial-step/best/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"half")
    finished = continued(folder, layout)
    assert content_of(finished, layout) == content_of(undisturbed[1], undisturbed[0])
    assert not list(partial_paths(layout.root))


def test_two_states_are_kept_and_each_epoch_ends_with_one(interrupt: Callable[[int], Path]) -> None:
    folder = interrupt(3 + 2 * STEPS)
    names = [path.name for path in states_of(folder)]
    assert len(names) == 2
    assert all(int(name.removeprefix("step-")) % STEPS == 0 for name in names[:1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9),
    ],
    ids=["missing", "truncated", "flipped"],
)
@pytest.mark.parametrize("name", ["training.safetensors", "best/model.safetensors", "state.json"])
def test_the_state_before_a_damaged_one_is_used(
    interrupted_twice: tuple[Layout, Path],
    undisturbed: tuple[Layout, Checkpoint],
    tmp_path: Path,
    damage: Callable[[Path], None],
    name: str,
) -> None:
    layout, folder = interrupted_twice
    root = tmp_path / "copy"
    shutil.copytree(layout.root, root)
    copied = root / folder.relative_to(layout.root)
    older, newer = states_of(copied)
    damage(newer / name)
    seen = SignalAt(0, 0)
    saved = StateStore(copied).newest(seen)
    assert saved
    assert saved[0].position.step == int(older.name.removeprefix("step-"))
    is_incomplete = name == "state.json" and not (newer / name).exists()  # then it was never complete
    assert is_incomplete or any(str(newer / name) in line for line in seen.lines)
    assert is_incomplete or not newer.exists()  # its step is saved again
    damage(older / "training.safetensors")
    if not is_incomplete:
        with pytest.raises(CorruptArtifactError, match="no intact state"):
            StateStore(copied).newest(ignore)


@pytest.fixture(scope="module")
def interrupted_twice(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Path]:
    """A run with two states, both after the first epoch."""
    layout = Layout(tmp_path_factory.mktemp("interrupted"))
    run = partial(train, config, layout=layout, tracker=open_tracker(config, layout=layout))
    for count in (5 + STEPS, 3):
        with pytest.raises(TrainingStoppedError):
            run(on_event=SignalAt(count, signal.SIGINT))
        run = partial(continued, find_interrupted("@latest", layout), layout)
    return layout, find_interrupted("@latest", layout)


def test_changed_conditions_are_refused_and_recorded_if_they_are_allowed(
    interrupt: Callable[[int], Path], layout: Layout
) -> None:
    folder = interrupt(4)
    path = folder / "state" / "training.json"
    record = json.loads(path.read_text())
    record["conditions"]["version of torch"] = "1.0"
    record["data"]["split_sha256"]["train"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"data, train was 0{64}, is .*version of torch was 1\.0, is 2"):
        continued(folder, layout)
    assert states_of(folder)
    finished = continued(folder, layout, allow_changes=True)
    assert finished.metrics.exact is False
    assert "under other conditions" in (finished.path / "README.md").read_text()


def test_what_cannot_be_resumed_is_named(
    interrupt: Callable[[int], Path], layout: Layout, undisturbed: tuple[Layout, Checkpoint]
) -> None:
    reference_layout, reference = undisturbed
    with pytest.raises(BusyError, match="is finished"):
        find_interrupted(str(reference.run), reference_layout)
    with pytest.raises(NotFoundError, match=r"no interrupted run in .*; goemo runs list .*shows all runs"):
        find_interrupted("@latest", reference_layout)
    folder = interrupt(4)
    with held(folder, "goemo train"), pytest.raises(BusyError, match=r"goemo train \(process \d+ on "):
        continued(folder, layout)
    shutil.rmtree(folder / "state")
    with pytest.raises(NotFoundError, match="no saved training"):
        continued(folder, layout)


def test_a_finished_run_is_trained_longer_as_a_new_run(
    undisturbed: tuple[Layout, Checkpoint], layout: Layout
) -> None:
    reference_layout, reference = undisturbed
    said: list[Event] = []
    config = longer_training(str(reference.run), 4, reference_layout, said.append)
    assert [event.message for event in said if isinstance(event, Info)][-1].endswith(" for 1 more epoch")
    longer = train(config, layout=layout)
    assert len(longer.metrics.history) == 1
    parent = longer.manifest.parents.base_model
    assert parent["sha256"] == reference.manifest.files["model.safetensors"].sha256
    with pytest.raises(SettingError, match="was trained for 3 epochs"):
        longer_training(str(reference.run), 3, reference_layout)


def test_a_training_with_several_seeds_continues(config: TrainConfig, layout: Layout) -> None:
    small = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1})})
    trackers = partial(open_tracker, layout=layout)
    with pytest.raises(TrainingStoppedError):  # in the second run: val and test of the first are scored too
        train_seeds(small, 3, layout=layout, open_tracker=trackers, on_event=_SecondRun(4))
    folder = find_interrupted("@latest", layout)
    record = StateStore(folder).record()
    assert record.seeds
    assert (record.seeds.count, len(record.seeds.runs)) == (3, 1)
    result = resume_run(folder, layout=layout, open_tracker=trackers)
    assert isinstance(result, SeedsResult)
    assert [run.metrics.seed for run in result.runs] == [0, 1, 2]
    assert str(result.runs[1].run) == folder.name
    assert list(layout.models.glob("*/*/state")) == []
    with pytest.raises(NotFoundError):
        find_interrupted("@latest", layout)


class _SecondRun(SignalAt):
    """Counts the progress of the second run only."""

    def __init__(self, count: int) -> None:
        super().__init__(0, signal.SIGTERM)
        self.count = count

    def __call__(self, event: Event) -> None:
        if "run 2 of 3" in str(event):
            self.left = self.count
        super().__call__(event)

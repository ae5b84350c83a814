"""Trainings whose surroundings fail: the disk is full, files cannot be opened, a folder turns read-only, the clock jumps back."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.torture import faults
from tests.torture.commands import Case, full

STATE_FOLDER, WEIGHTS, PREDICTIONS, MANIFEST = (
    "step-*",
    "model.safetensors",
    "test_predictions_*",
    "manifest.json",
)
MOMENTS = (
    ("the second state", STATE_FOLDER, 2),
    ("the weights", WEIGHTS, 1),
    ("the predictions", PREDICTIONS, 1),
    ("the manifest", MANIFEST, 1),
)
"""What a training is about to rename: its name in the trial, a pattern, and at which match it pauses."""
NOBODY = 65534


@dataclass(frozen=True)
class Surrounding:
    """A trial.

    Attributes:
        name: as its result shows it.
        act: disturbs a training; returns what is wrong afterwards.
        needs: the program without which it is skipped.
    """

    name: str
    act: Callable[[Case], list[str]]
    needs: str = ""

    @property
    def missing(self) -> str:
        """Why this machine cannot run it; empty if it can."""
        if self.needs == "mount" and not can_mount():
            return "needs the permission to mount"
        if self.needs == "root" and os.getuid() != 0:
            return "needs to run as root, which becomes another user"
        if self.needs == "strace" and not faults.is_available():
            return "needs strace that may attach to processes"
        return ""


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system at a folder while the block runs: `mount OPTIONS FOLDER`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def tmpfs(folder: Path, size: str) -> contextlib.AbstractContextManager[None]:
    """A small file system in memory."""
    return mounted(folder, "-t", "tmpfs", "-o", size, "tmpfs")


def can_mount() -> bool:
    """Whether this process may mount."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tmpfs(Path(folder), "size=1m"):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def _full_disk(case: Case, pattern: str, nth: int) -> list[str]:
    with tmpfs(case.root, "size=200m"):
        case.prepare()
        training = case.train(pause=pattern, nth=nth)
        training.at_pause()
        with full(case.root):
            training.go_on()
            found = case.faults(training, 8, "free some space", "continue with goemo train --resume")
        return found + case.repeated()


def _small_disk(case: Case) -> list[str]:
    with tmpfs(case.root, "size=20m"):
        case.prepare()
        found = case.faults(case.train(), 8, "this run needs about", "free some space")
        subprocess.run(["mount", "-o", "remount,size=200m", case.root], check=True)
        return found + case.repeated()


def _no_inodes(case: Case) -> list[str]:
    with tmpfs(case.root, "size=200m,nr_inodes=200"):
        case.prepare()
        training = case.train(pause=STATE_FOLDER, nth=2)
        training.at_pause()
        with contextlib.suppress(OSError):
            for number in range(200):
                (case.root / f"file-{number}").touch()
        training.go_on()
        found = case.faults(training, 8, "free some space")
        for name in case.root.glob("file-*"):
            name.unlink()
        return found + case.repeated()


def _turns_read_only(case: Case, pattern: str, nth: int) -> list[str]:
    case.prepare()
    training = case.train(pause=pattern, nth=nth)
    training.at_pause()
    with mounted(case.root, "--bind", str(case.root)):
        subprocess.run(["mount", "-o", "remount,bind,ro", case.root], check=True)
        training.go_on()
        _ = training.code
    case.remove_partial_files()  # it could not
    return case.faults(training, 8, "read-only") + case.repeated()


def _read_only(case: Case) -> list[str]:
    with tmpfs(case.root, "size=200m"):
        case.prepare()
        subprocess.run(["mount", "-o", "remount,ro", case.root], check=True)
        found = case.faults(case.train(), 8, "read-only", "Error: ")
        subprocess.run(["mount", "-o", "remount,rw", case.root], check=True)
        return found + case.repeated()


def _another_user(case: Case) -> list[str]:
    case.prepare()
    for folder in [case.folder, *case.folder.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)

    def become_nobody() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    found = case.faults(case.train(limit=become_nobody), 8, "ermission denied", "ls -ld")
    return found + case.repeated()


def _file_size(case: Case, limit: int) -> list[str]:
    case.prepare()
    training = case.train(limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    return case.faults(training, 8, "Error: ") + case.repeated()


def _open_files(case: Case, limit: int) -> list[str]:
    case.prepare()

    def few() -> None:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + limit, used + limit))

    training = case.train(limit=few)
    words = () if training.code == 0 else ("oo many open files", "ulimit -n")
    return case.faults(training, (0, 8), *words) + case.repeated()


def _system_calls_fail(case: Case, calls: str, deed: str, pattern: str) -> list[str]:
    case.prepare()
    training = case.train(pause=pattern)
    training.at_pause()
    with faults.injected(training.pid, calls, deed):
        training.go_on()
        _ = training.code
    case.remove_partial_files()
    found = case.faults(training, (0, 8))
    return found + case.repeated()


def _tolerated(case: Case, calls: str, deed: str, *folders: str) -> list[str]:
    """A system call fails from the start, everywhere or for some folders, and the training ends well."""
    case.prepare()
    training = case.train(limit=lambda: os.kill(os.getpid(), signal.SIGSTOP))
    training.at_pause()
    paths = [case.root / folder for folder in folders]
    with faults.injected(training.pid, calls, deed, paths=paths):
        training.go_on()
        _ = training.code
    return case.faults(training, 0) + case.repeated()


def _killed_at_state(case: Case, nth: int) -> None:
    """Kill a training while it writes its nth state."""
    case.prepare()
    training = case.train(pause=STATE_FOLDER, nth=nth)
    training.at_pause()
    os.kill(training.pid, signal.SIGKILL)
    _ = training.code


def _two_resumes(case: Case) -> list[str]:
    _killed_at_state(case, 2)
    case.remove_partial_files()
    first = case.resume(pause=STATE_FOLDER)
    first.at_pause()
    second = case.resume()
    found = case.faults(second, 9, str(first.pid), socket.gethostname())
    first.go_on()
    return found + case.faults(first, 0) + case.repeated()


def _signalled(case: Case, number: int, code: int) -> list[str]:
    case.prepare()
    training = case.train(pause=STATE_FOLDER)
    training.at_pause()
    os.kill(training.pid, number)
    training.go_on()
    return case.faults(training, code, "goemo train --resume") + case.repeated()


def _stopped_and_continued(case: Case) -> list[str]:
    case.prepare()
    training = case.train(pause=STATE_FOLDER)
    for _ in range(3):
        training.at_pause()
        training.go_on()
        os.kill(training.pid, signal.SIGSTOP)
    training.at_pause()
    training.go_on()
    return case.faults(training, 0) + case.repeated()


def _clock_jumps_back(case: Case) -> list[str]:
    case.prepare()
    found = case.faults(case.train(limit=partial(_clock, 3600.0), pause=""), 0)
    newest = case.run("runs", "list", "--json")
    return found + case.faults(newest, 0) + case.repeated()


def _clock_back_between(case: Case) -> list[str]:
    _killed_at_state(case, 4)
    case.remove_partial_files()
    newest = max(case.root.glob(f"artifacts/models/*/*/state/{STATE_FOLDER}"))
    os.utime(newest, (0, 0))  # the older state looks newer
    resumed = case.resume(limit=partial(_clock, 86400.0))
    return case.faults(resumed, 0, f"after step {int(newest.name[5:])} ") + case.repeated()


def _clock(seconds: float) -> None:
    """Set the clock of this process back at its first use."""
    now, calls = time.time, 0

    def earlier() -> float:
        nonlocal calls
        calls += 1
        return now() - seconds * (calls > 3)

    time.time, time.time_ns = earlier, lambda: int(earlier() * 1e9)


def _removed_run(case: Case, pattern: str, nth: int) -> list[str]:
    case.prepare()
    training = case.train(pause=pattern, nth=nth)
    training.at_pause()
    (run,) = case.root.glob("artifacts/models/tiny/tiny-*")
    shutil.rmtree(run)
    training.go_on()
    return case.faults(training, 8, "was removed") + case.repeated()


def _no_home(case: Case) -> list[str]:
    case.prepare()

    def homeless() -> None:
        for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "HF_HOME", "WANDB_DIR", "MPLCONFIGDIR"):
            os.environ[name] = "/nonexistent"
        tempfile.tempdir = None

    return case.faults(case.train(limit=homeless), 0) + case.repeated()


def _linked_artifacts(case: Case) -> list[str]:
    elsewhere = case.folder / "elsewhere"
    with tmpfs(elsewhere, "size=200m"):
        case.prepare()
        shutil.move(case.root / "artifacts", elsewhere / "artifacts")
        (case.root / "artifacts").symlink_to(elsewhere / "artifacts")
        training = case.train(pause=STATE_FOLDER, nth=2)
        training.at_pause()
        os.kill(training.pid, signal.SIGTERM)
        training.go_on()
        found = case.faults(training, 143)
        found += case.repeated()
        return found + ([] if (case.root / "artifacts").is_symlink() else ["the link was replaced"])


def _in_the_same_second(case: Case) -> list[str]:
    case.prepare()
    frozen = time.time()

    def freeze() -> None:
        time.time = lambda: frozen

    trainings = [case.run(*case.arguments, limit=freeze) for _ in range(4)]
    found = [fault for training in trainings for fault in case.faults(training, 0)]
    runs = [*case.root.glob("artifacts/models/tiny/*/manifest.json")]
    rows = len(case.layout.metric_summary.read_text(encoding="utf-8").splitlines())
    if (len(runs), rows) != (4, 6):
        found.append(f"{len(runs)} runs, {rows} rows")
    return found


def _other_files(case: Case) -> list[str]:
    _killed_at_state(case, 3)
    (states,) = case.root.glob("artifacts/models/*/*/state")
    for name in ("step-00000999", "step-abc", "step-00000002.bak"):
        (states / name).mkdir()
    (states / "step-00000998").write_text("a file", encoding="utf-8")
    return case.faults(case.resume(), 0, "after step 2 ") + case.repeated()


def _watched(case: Case) -> list[str]:
    case.prepare()
    training = case.train()
    found, looks = [], 0
    while training.runs():
        found += case.damage()
        looks += 1
    if looks < 2:
        found.append(f"looked only {looks} times")
    return found + case.faults(training, 0) + case.repeated()


def _little_memory(case: Case, mebibytes: int) -> list[str]:
    case.prepare()

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        size = pages * resource.getpagesize() + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    training = case.train(limit=limit)
    words = ("--batch-size",) if training.code == 10 else ()
    return case.faults(training, (0, 10), *words) + case.repeated()


def _time_zones(case: Case) -> list[str]:
    case.prepare()
    started = []
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours apart

        def move(zone: str = zone) -> None:
            os.environ["TZ"] = zone
            time.tzset()

        found = case.faults(
            case.run("train", "--model", "tfidf", "--data", case.filled_in("DATA"), limit=move), 0
        )
        started.append([path.name for path in case.layout.checkpoints()][-1])
        if found:
            return found
    return [] if started[0] < started[1] else [f"the order of the runs is {started}"]


TRIALS = (
    *(
        Surrounding(f"the disk is full before {what}", partial(_full_disk, pattern=pattern, nth=nth), "mount")
        for what, pattern, nth in MOMENTS
    ),
    Surrounding("the disk is too small from the start", _small_disk, "mount"),
    Surrounding("no inode is left", _no_inodes, "mount"),
    *(
        Surrounding(
            f"the disk turns read-only before {what}",
            partial(_turns_read_only, pattern=pattern, nth=nth),
            "mount",
        )
        for what, pattern, nth in MOMENTS
    ),
    Surrounding("the disk is read-only from the start", _read_only, "mount"),
    Surrounding("the folders belong to another user", _another_user, "root"),
    *(
        Surrounding(f"files may have {limit} bytes", partial(_file_size, limit=limit))
        for limit in (1_000, 20_000, 100_000)
    ),
    *(
        Surrounding(f"{limit} more files may be open", partial(_open_files, limit=limit))
        for limit in (0, 1, 2, 4, 8)
    ),
    *(
        Surrounding(
            f"{calls} {deed} from {what} on",
            partial(_system_calls_fail, calls=faults.CALLS[calls], deed=deed, pattern=pattern),
            "strace",
        )
        for calls, deed in (
            ("write", "error=EIO:when=1+"),
            ("fsync", "error=EIO:when=1+"),
            ("rename", "error=EIO:when=1+"),
            ("rename", "error=ESTALE:when=1+"),
            ("open", "error=EMFILE:when=1+"),
            ("unlink", "error=EBUSY:when=1+"),
        )
        for what, pattern in (("the first state", STATE_FOLDER), ("the predictions", PREDICTIONS))
    ),
    Surrounding(
        "folders cannot be synchronised, as on some network file systems",
        lambda case: _tolerated(case, "fsync", "error=EINVAL", "artifacts/predictions", "artifacts/stats"),
        "strace",
    ),
    Surrounding(
        "permissions cannot be set, as on FAT and some network file systems",
        partial(_tolerated, calls="chmod,fchmod,fchmodat", deed="error=EPERM"),
        "strace",
    ),
    Surrounding(
        "locks are unavailable, as on some network file systems",
        partial(_tolerated, calls="flock", deed="error=ENOLCK"),
        "strace",
    ),
    Surrounding("two processes resume one run", _two_resumes),
    *(
        Surrounding(
            f"{signal.Signals(number).name} arrives", partial(_signalled, number=number, code=128 + number)
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ),
    Surrounding("it is stopped and continued", _stopped_and_continued),
    Surrounding("the clock jumps back by an hour", _clock_jumps_back),
    Surrounding("the clock is a day back when it is resumed", _clock_back_between),
    *(
        Surrounding(
            f"the run's folder is removed before {what}", partial(_removed_run, pattern=pattern, nth=nth)
        )
        for what, pattern, nth in MOMENTS
    ),
    Surrounding("home and temporary folder are missing", _no_home),
    Surrounding("artifacts is a link to another file system", _linked_artifacts, "mount"),
    Surrounding("its folder of states has other files", _other_files),
    Surrounding("goemo validate looks at it all the time", _watched),
    *(
        Surrounding(f"{size} more MiB of memory may be used", partial(_little_memory, mebibytes=size))
        for size in (1, 30, 100)
    ),
    Surrounding("the time zone changes between two trainings", _time_zones),
    Surrounding("four trainings start in the same second", _in_the_same_second),
)

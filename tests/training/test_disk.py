"""A disk that is full or failing: one clear line, the last checkpoint whole, and the run can go on."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.training.small import error, same, train, weights

from ostinato.training import CheckpointError, checkpoint

WORDS = {"validate": error, "checkpoint_every": 1}


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow past `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Failing:
    """A function of the operating system that fails at its n-th call."""

    def __init__(self, function, call: int, number: int) -> None:
        self.function, self.left, self.number = function, call, number

    def __call__(self, *arguments, **options):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.function(*arguments, **options)


def _whole_and_alone(out: Path, steps: range) -> None:
    assert checkpoint.read(out / "checkpoint.ost")["place"]["step"] in steps
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint.ost", "history.jsonl"]


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on(tmp_path):
    uninterrupted, _ = train(**WORDS)
    train(out=tmp_path / "size", epochs=1, **WORDS)
    full = (tmp_path / "size" / "checkpoint.ost").stat().st_size - 500  # the best weights no longer fit
    with no_file_over(full), pytest.raises(CheckpointError) as caught:
        train(out=tmp_path / "out", **WORDS)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'out' / 'checkpoint.ost'}: File too large")
    assert said.endswith("what was saved before is whole: set this right and go on with resume=True (--resume)")
    assert "\n" not in said
    _whole_and_alone(tmp_path / "out", range(1, 6))
    resumed, history = train(out=tmp_path / "out", resume=True, **WORDS)
    assert same(weights(resumed), weights(uninterrupted))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_is_said_and_undone(function, number, tmp_path, monkeypatch):
    uninterrupted, _ = train(**WORDS)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, Failing(getattr(os, function), 12, number))
        with pytest.raises(CheckpointError, match=os.strerror(number)):
            train(out=tmp_path, **WORDS)
    _whole_and_alone(tmp_path, range(1, 17))
    assert same(weights(train(out=tmp_path, resume=True, **WORDS)[0]), weights(uninterrupted))


def test_a_row_that_does_not_fit_is_not_there_in_part(tmp_path):
    path, row = tmp_path / "history.jsonl", {"epoch": 1, "loss": 0.25}
    line = '{"epoch": 1, "loss": 0.25}\n'
    with no_file_over(3 * len(line) + 10):
        for _ in range(3):
            checkpoint.append(path, row)
        with pytest.raises(CheckpointError, match=r"history\.jsonl: File too large"):
            checkpoint.append(path, row)
    assert path.read_text() == 3 * line


def test_a_folder_that_cannot_be_made_is_found_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    def never(model, batch, state):
        raise AssertionError("a step was taken")

    with pytest.raises(CheckpointError, match="file: File exists"):
        train(out=tmp_path / "file", objective=never)


_ON_A_SMALL_DISK = """
mount -t tmpfs -o size=48k tmpfs "$1" || exit 77
exec "$2" -c '
import sys
from tests.training.small import error, same, train, weights
from tests.training.test_disk import CheckpointError, Path, _whole_and_alone
out = Path(sys.argv[1])
try:
    train(out=out, validate=error, epochs=2000, checkpoint_every=4)
except CheckpointError as error_:
    print(error_)
_whole_and_alone(out, range(1, 8001))
' "$1"
"""


@pytest.mark.long
def test_on_a_small_disk_that_fills_up(tmp_path):
    """A tmpfs of 48 kB, in a mount namespace: the history in the checkpoint grows until it is full."""
    command = ["unshare", "-rm", "sh", "-c", _ON_A_SMALL_DISK, "sh", str(tmp_path), sys.executable]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine gives no mount namespace")
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
    assert len(done.stdout.splitlines()) == 1

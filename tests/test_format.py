"""The model file: what goes in comes out, and no fault of the disk loses what was there before."""

import errno
import json
import math
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ostinato import format
from ostinato.format import FormatError
from ostinato.format.layout import DTYPES
from ostinato.spec import Spec

LAYER = {"kind": "layer", "class": "LSTM", "arguments": {"input_size": 3}}
OLD = {"w": np.arange(6.0).reshape(2, 3)}

text = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-(10**40), 10**40)
plain = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: npst.arrays(DTYPES[name], npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
)
tensors = st.dictionaries(text.filter(lambda name: name != "__metadata__"), arrays, max_size=5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A good file that stands already."""
    path = tmp_path / "model.ost"
    format.write(path, OLD, LAYER)
    return path


def assert_intact(path: Path) -> None:
    assert format.read(path)[1]["w"].tolist() == OLD["w"].tolist()
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a temporary file was left"


def run(code: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# ---- round trips


@settings(deadline=None)
@given(tensors=tensors, arguments=st.dictionaries(text, plain, max_size=4))
def test_what_goes_in_comes_out(tmp_path_factory: Any, tensors: Any, arguments: Any) -> None:
    path = tmp_path_factory.mktemp("round") / "módel 1.ost"
    format.write(path, tensors, {**LAYER, "arguments": arguments})
    manifest, found = format.read(path)
    assert manifest["arguments"] == arguments
    assert_same(found, tensors)
    assert_same(safetensors.numpy.load_file(path), tensors)  # any safetensors tool reads it


def assert_same(found: Any, wanted: Any) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()  # bits: NaN and -0.0 too


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12)[::-3],
        np.arange(6, dtype=">i4"),
        np.broadcast_to(np.float32(2), (3, 2)),
        np.array(3.0),
        np.zeros((0, 5), np.int8),
        np.array([True, False]),
    ],
    ids=["transposed", "backwards", "big-endian", "broadcast", "0-d", "empty", "bool"],
)
def test_any_memory_order_goes_in(tmp_path: Path, array: np.ndarray) -> None:
    format.write(tmp_path / "a.ost", {"a": array}, LAYER)
    found = format.read(tmp_path / "a.ost")[1]["a"]
    np.testing.assert_array_equal(found, array, strict=False)
    assert found.shape == array.shape
    assert found.flags.writeable
    assert found.flags.aligned
    assert found.flags.c_contiguous


def test_fields_left_out_get_their_usual_values(tmp_path: Path) -> None:
    format.write(tmp_path / "a.ost", {}, {"kind": "checkpoint"})
    manifest, found = format.read(tmp_path / "a.ost")
    assert found == {}
    assert manifest.pop("version")
    usual = {"format": 1, "kind": "checkpoint", "class": "", "arguments": {}, "spec": None, "extra": {}}
    assert manifest == usual


def test_a_spec_survives(tmp_path: Path) -> None:
    spec = Spec(inputs=2, classes=("naïve", "日本"))
    format.write(tmp_path / "a.ost", {}, {**LAYER, "spec": spec.to_json()})
    assert Spec.from_json(format.read(tmp_path / "a.ost")[0]["spec"]) == spec


def test_each_tensor_begins_where_its_type_may(tmp_path: Path) -> None:
    """Tools that map the file into memory ask for this."""
    content = {f"{9 - k} {name}": np.zeros(k + 1, dtype) for k, (name, dtype) in enumerate(DTYPES.items())}
    for name in ("a", "ab", "abc", "abcd", "abcde"):  # headers of any length
        format.write(tmp_path / "a.ost", content, {"kind": name})
        raw = (tmp_path / "a.ost").read_bytes()
        length = int.from_bytes(raw[:8], "little")
        assert length % 8 == 0
        for key, entry in json.loads(raw[8 : 8 + length]).items():
            if key != "__metadata__":
                assert entry["data_offsets"][0] % content[key].itemsize == 0


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        format.write(tmp_path / name, {"w": OLD["w"], "v": np.zeros(3)}, LAYER)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---- what a file cannot hold


REFUSED: dict[str, tuple[dict[Any, Any], dict[Any, Any], str]] = {
    "uint64": ({"w": np.zeros(2, np.uint64)}, {}, "tensor 'w' is uint64: convert it to one of float64"),
    "complex": ({"w": np.zeros(2, complex)}, {}, "tensor 'w' is complex128"),
    "object": ({"w": np.array([None])}, {}, "tensor 'w' is object"),
    "text": ({"w": np.array(["a"])}, {}, "tensor 'w' is <U1"),
    "record": ({"w": np.zeros(2, "f4,i4")}, {}, "tensor 'w' is "),
    "time": ({"w": np.zeros(2, "M8[s]")}, {}, "tensor 'w' is datetime64"),
    "list": ({"w": [1.0]}, {}, "tensor 'w' is a list: give a numpy array"),
    "deep": ({"w": np.zeros((1,) * 33)}, {}, "tensor 'w' has 33 dimensions"),
    "reserved": ({"__metadata__": np.zeros(1)}, {}, "cannot be named '__metadata__'"),
    "number as name": ({3: np.zeros(1)}, {}, "cannot be named 3"),
    "broken name": ({"\ud800": np.zeros(1)}, {}, "surrogates not allowed"),
    "many": ({str(k): np.zeros(0) for k in range(10_001)}, {}, "10001 tensors: at most 10000"),
    "nan": ({}, {"extra": {"score": math.nan}}, "not JSON compliant"),
    "inf": ({}, {"extra": {"score": math.inf}}, "not JSON compliant"),
    "type": ({}, {"extra": {"score": np.float32(1)}}, "float32 is not JSON serializable"),
    "key": ({}, {"extra": {"state": [{0: "a"}]}}, "key 0 is not a string"),
    "digits": ({}, {"extra": {"seed": 10**100}}, "number of 101 digits"),
    "broken text": ({}, {"extra": {"note": "\udfff"}}, "surrogates not allowed"),
    "long": ({}, {"extra": {"history": ["0123456789"] * 80_000}}, "at most 1000000 go into a header.*pack_json"),
    "kind": ({}, {"kind": None}, "'kind' in the manifest must be a str: got None"),
    "arguments": ({}, {"arguments": [1]}, r"'arguments' in the manifest must be a dict: got \[1\]"),
    "format": ({}, {"format": 2}, "has format 2: this ostinato knows 1: upgrade"),
    "spec": ({}, {"spec": {"inputs": 1}}, "spec: missing: 'outputs'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_file_cannot_hold_is_refused_before_the_old_one_is_touched(model: Path, case: str) -> None:
    tensors, manifest, words = REFUSED[case]
    with pytest.raises(FormatError, match=words) as caught:
        format.write(model, tensors, {**LAYER, **manifest})
    assert str(caught.value).startswith(f"{model}: ")
    assert len(str(caught.value)) < len(str(model)) + 400
    assert_intact(model)


def test_a_manifest_without_bottom_or_with_a_circle_is_refused(model: Path) -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for extra in (circle, deep):
        with pytest.raises(FormatError):
            format.write(model, {}, {**LAYER, "extra": {"x": extra}})
    assert_intact(model)


def test_bfloat16_is_refused_with_what_to_do(model: Path, tmp_path: Path) -> None:
    raw = np.zeros(2, np.dtype([("bfloat16", "u2")]))

    class Named(np.ndarray):
        """An array whose dtype calls itself bfloat16, as that of ml_dtypes does."""

        dtype = type("dtype", (), {"name": "bfloat16"})()  # type: ignore[assignment]

    with pytest.raises(FormatError, match=r"tensor 'w' is bfloat16.*: save it as float32"):
        format.write(model, {"w": raw.view(Named)}, LAYER)
    assert_intact(model)


# ---- packed JSON


@given(st.recursive(plain | st.floats(), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_packed_json_comes_back_with_every_float(value: Any) -> None:
    assert repr(format.unpack_json(format.pack_json(value))) == repr(value)  # NaN and -0.0 too


def test_packed_json_is_a_tensor_like_any_other(tmp_path: Path) -> None:
    history = [{"epoch": k, "loss": 1 / (k + 1), "best": -math.inf} for k in range(100_000)]
    format.write(tmp_path / "a.ost", {"history": format.pack_json(history)}, {"kind": "checkpoint"})
    assert format.unpack_json(format.read(tmp_path / "a.ost")[1]["history"]) == history


@pytest.mark.parametrize("value", [{1: "a"}, {"a": np.float32(1)}, {"a": {1, 2}}, "\ud800", [{None: 1}]])
def test_what_json_would_change_is_not_packed(value: Any) -> None:
    with pytest.raises(FormatError, match="pack_json: "):
        format.pack_json(value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"a":1,"a":2}', b"1e999", b"\xff", b"1" * 101, b"[" * 100_000, b'"\\ud800"', b"nan", b"1 2"],
)
def test_what_is_not_packed_json_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match="unpack_json: "):
        format.unpack_json(np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((1, 1), np.uint8), np.array(7, np.uint8)])
def test_only_a_flat_row_of_bytes_is_unpacked(array: np.ndarray) -> None:
    with pytest.raises(FormatError, match="needs a flat uint8 tensor"):
        format.unpack_json(array)


# ---- the atomic writer


def test_replace_gives_the_new_content_and_keeps_mode_and_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    format.replace_text(real, "old")
    assert stat.S_IMODE(real.stat().st_mode) == 0o666 & ~_umask()
    real.chmod(0o640)
    link.symlink_to(real)
    format.replace_text(link, "näw\n")
    assert real.read_bytes() == "näw\n".encode()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert {file.name for file in tmp_path.iterdir()} == {"real.txt", "link.txt"}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_order_is_write_sync_rename_sync_the_folder(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(number: int) -> None:
        kind = os.fstat(number)
        # What the system has at this moment: bytes still in Python's buffer would not be among them.
        order.append("sync folder" if stat.S_ISDIR(kind.st_mode) else f"sync {kind.st_size} bytes")
        sync(number)

    def replace(self: Path, target: Path) -> Path:
        assert self.parent == target.parent, "only within one folder is a rename one step"
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    format.write(model, {"w": np.zeros(10)}, LAYER)
    assert order == [f"sync {model.stat().st_size} bytes", "rename", "sync folder"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt(), RuntimeError("mine")])
def test_an_error_while_writing_keeps_the_old_file(model: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_half(model, error)
    assert_intact(model)


def write_half(path: Path, error: BaseException) -> None:
    with format.replace(path) as file:
        file.write(b"half of the new")
        raise error


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_error_of_the_disk_keeps_the_old_file_and_is_named(
    model: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        format.write(model, {"w": np.ones(50_000)}, LAYER)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(model))
    assert_intact(model)


def test_an_error_while_syncing_the_folder_is_told_and_the_file_is_whole(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def fsync(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        format.write(model, OLD, LAYER)
    assert_intact(model)


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder.ost").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.ost", tmp_path / "folder.ost", tmp_path / "file" / "a.ost"):
        with pytest.raises(OSError, match=re.escape(f"'{path}'")):
            format.write(path, OLD, LAYER)
    assert {file.name for file in tmp_path.iterdir()} == {"folder.ost", "file"}


def test_an_error_of_the_callers_own_file_keeps_its_name(model: Path) -> None:
    with pytest.raises(FileNotFoundError, match="own-file"), format.replace(model):
        Path("own-file").read_bytes()
    assert_intact(model)


# ---- a full disk


BIG = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from ostinato import format
    path = Path(sys.argv[1])
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    old = {"w": np.arange(6.0).reshape(2, 3)}
    for size in (1, 100, 300, 1000, 4000):  # KB
        format.write(path, old, {"kind": "layer"})
        try:
            format.write(path, {"w": np.ones(size * 128)}, {"kind": "layer"})
            print(size, "written")
            format.read(path)
        except OSError as error:
            assert format.read(path)[1]["w"].tolist() == old["w"].tolist()
            assert [file.name for file in path.parent.iterdir()] == [path.name]
            print(size, error.strerror, error.filename == str(path))
"""


def test_a_write_cut_short_by_a_limit_keeps_the_old_file(tmp_path: Path) -> None:
    found = run(BIG, tmp_path / "model.ost", 200_000)
    assert found.stderr == ""
    words = [f"{size} File too large True" for size in (300, 1000, 4000)]
    assert found.stdout.splitlines() == ["1 written", "100 written", *words]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    """A disk of 2 MB, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("sh", "-c", f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$@"', "sh")
    prefix = ("unshare", "--map-root-user", "--mount", *mount)
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount; the limit on file sizes is tested instead, above")
    found = run(BIG, disk / "model.ost", prefix=prefix)
    assert found.stderr == ""
    assert found.stdout.splitlines()[:4] == [f"{size} written" for size in (1, 100, 300, 1000)]
    assert found.stdout.splitlines()[4:] == ["4000 No space left on device True"]


# ---- kill -9


WRITER = """
    import sys
    import numpy as np
    from ostinato import format
    count = 0
    while True:
        content = {"w": np.full(60_000, float(count)), "count": np.array(count)}
        format.write(sys.argv[1], content, {"kind": "checkpoint"})
        count += 1
        if count == 2:
            print("ready", flush=True)
"""


def killed(path: Path, delays: Iterator[float]) -> Iterator[None]:
    """Start a process that writes without end, kill it after each delay, and start the next."""
    for delay in delays:
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        yield


@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.long)])
def test_a_kill_while_writing_leaves_a_whole_file(tmp_path: Path, kills: int) -> None:
    path = tmp_path / "checkpoint.ost"
    random = np.random.default_rng(kills)
    for _ in killed(path, iter(random.uniform(0, 0.02, kills))):
        found = format.read(path)[1]
        assert set(found["w"].tolist()) == {float(found["count"])}, "a file of two writes"
    format.sweep(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_sweep_takes_what_killed_writers_left_and_nothing_else(model: Path) -> None:
    (model.parent / ".0123456789abcdef.ostinato-tmp").write_bytes(b"half")
    (model.parent / ".hidden").touch()
    format.sweep(model.parent)
    assert {file.name for file in model.parent.iterdir()} == {model.name, ".hidden"}
    assert json.dumps(format.read(model)[0])

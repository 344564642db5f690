"""Hostile model files: none loads silently, none crashes, and nothing that a file says is ever run."""

import gzip
import hashlib
import io
import json
import os
import pickle
import random
import re
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ostinato import format
from ostinato.format import FormatError
from ostinato.format.layout import DTYPES
from ostinato.spec import Spec

MANIFEST = {
    "format": 1,
    "version": "0.1.0",
    "kind": "layer",
    "class": "LSTM",
    "arguments": {"input_size": 3, "hidden_size": 2},
    "spec": None,
    "extra": {},
}
W = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
V = {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}


def sealed(raw: bytes, data: bytes) -> bytes:
    """A file with this header and the right hash, made without the writer that is tested."""
    start, end, zeros = b'"sha256":"', 64, b"0" * 64
    at = raw.find(start) + len(start)
    blank = raw[:at] + zeros + raw[at + end :] if start in raw else raw
    digest = hashlib.sha256(len(raw).to_bytes(8, "little") + blank + data).hexdigest().encode()
    signed = raw[:at] + digest + raw[at + end :] if start in raw else raw
    return len(signed).to_bytes(8, "little") + signed + data


def header(entries: Any, manifest: Any = MANIFEST, **metadata: Any) -> bytes:
    """A header in JSON; a manifest given as text goes in as it is."""
    words = manifest if isinstance(manifest, str) else json.dumps(manifest)
    table = {"__metadata__": {"ostinato": words, "sha256": "0" * 64, **metadata}, **entries}
    return json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()


def refused(path: Path, blob: bytes) -> str:
    """The words of the refusal: one type, one line, the file named."""
    path.unlink(missing_ok=True)  # a file cut to nothing and written anew waits for the disk, a new one does not
    path.write_bytes(blob)
    with pytest.raises(FormatError) as caught:
        format.read(path)
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert words.isprintable(), "what a file says must not reach the terminal raw"
    assert len(words) < len(str(path)) + 500
    return words


# ---- files made by hand, each with the right hash


def entry(**other: Any) -> dict[str, Any]:
    return {"w": {**W, **other}}


def twice(text: bytes, key: bytes) -> bytes:
    """The same key a second time, as JSON allows and as no reader agrees on."""
    return text.replace(key, key + b"1," + key, 1)


def manifest(**other: Any) -> bytes:
    return header({"w": W}, {**MANIFEST, **other})


TORCH_SAVED = pickle.dumps({"weight": [1.0]}, protocol=2)
NUMPY_SAVED = io.BytesIO()
np.save(NUMPY_SAVED, np.zeros(2))
FOREIGN = {
    "empty": (b"", "is empty"),
    "one byte": (b"{", "looks like JSON"),
    "seven bytes": (b"\x10\0\0\0\0\0\0", "is not an ostinato file"),
    "zip": (b"PK\x03\x04" + bytes(100), "looks like a PyTorch pickle in a zip archive; ostinato never unpickles"),
    "pickle 2": (TORCH_SAVED, "looks like a pickle.*ostinato never unpickles"),
    "pickle 5": (pickle.dumps([1] * 100, protocol=5), "looks like a pickle.*ostinato never unpickles"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "looks like an HDF5 file"),
    "numpy": (NUMPY_SAVED.getvalue(), "looks like a numpy array"),
    "gzip": (gzip.compress(b"model"), "looks like a gzip archive"),
    "json": (b'{"format": 1}', "looks like JSON text"),
    "text": (b"time,units\n1,2\n", "is not an ostinato file"),
    "zeros": (bytes(1000), "is not an ostinato file"),
    "plain safetensors": (safetensors.numpy.save({"w": np.zeros(2)}), "without ostinato's manifest"),
    "others' metadata": (safetensors.numpy.save({"w": np.zeros(2)}, {"format": "pt"}), "without ostinato's manifest"),
    "length 2^64 - 1": (b"\xff" * 8 + b"{}", "is not an ostinato file"),
    "length over the cap": ((1_000_001).to_bytes(8, "little") + b"{" + bytes(2_000_000), "is not an ostinato file"),
    "length over the file": ((999_999).to_bytes(8, "little") + b"{}", "cut short: the header says 999999 bytes, 2 are"),
}

ENTRIES = {
    "no tensor at all, but data": ({}, "take 0 bytes, 8 are there"),
    "more data than tensors": (entry(shape=[1], data_offsets=[0, 4]), "take 4 bytes, 8 are there"),
    "less data than tensors": ({"w": W, "v": V}, "take 16 bytes, 8 are there"),
    "overlap": ({"w": W, "v": W}, "begins at byte 0: 8 was expected"),
    "gap": (entry(data_offsets=[8, 16]), "begins at byte 8: 0 was expected"),
    "swapped offsets": (entry(data_offsets=[8, 0]), "takes 8 bytes: the offsets say"),
    "three offsets": (entry(data_offsets=[0, 4, 8]), "needs two"),
    "negative": (entry(data_offsets=[-8, 0]), "needs two"),
    "float offset": (entry(data_offsets=[0.0, 8.0]), "needs two"),
    "huge offset": (entry(data_offsets=[0, 10**90]), "needs two"),
    "no offsets": (entry(data_offsets=None), "needs two"),
    "wrong shape": (entry(shape=[3]), "takes 12 bytes: the offsets say"),
    "wrong type": (entry(dtype="F64"), "takes 16 bytes: the offsets say"),
    "shape of true": (entry(shape=[2, True]), "has the shape"),
    "shape of text": (entry(shape="2"), "has the shape"),
    "shape of floats": (entry(shape=[2.0]), "has the shape"),
    "huge size": (entry(shape=[2**63]), "has the shape"),
    "huge sizes": (entry(shape=[2**40, 2**40]), "takes"),
    "huge sizes and none": (entry(shape=[0, *[2**47] * 20], data_offsets=[0, 0]), ""),
    "33 sizes": (entry(shape=[1] * 32 + [2]), "at most 32"),
    "bfloat16": (entry(dtype="BF16", shape=[4]), "bfloat16.*: save it as float32"),
    "unsigned": (entry(dtype="U64", shape=[1]), "is 'U64': convert it to one of float64"),
    "float8": (entry(dtype="F8_E4M3", shape=[8]), "is 'F8_E4M3'"),
    "type that is a list": (entry(dtype=["F32"]), "convert it to one of"),
    "type that is an object": (entry(dtype={}), "convert it to one of"),
    "unknown key": (entry(code="import os"), "needs dtype, shape and data_offsets"),
    "missing key": ({"w": {"dtype": "F32", "shape": [2]}}, "needs dtype, shape and data_offsets"),
    "entry that is a list": ({"w": [1]}, "needs dtype, shape and data_offsets"),
    "10,001 tensors": (
        {str(k): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for k in range(10_001)},
        "10001 t",
    ),
    "escape codes in a name": ({"\x1b[2J\n" * 50: {}}, "needs dtype"),
    "true as neither 0 nor 1": (entry(dtype="BOOL", shape=[8]), "is boolean and holds 2"),
}

RAW = {
    "header that is a list": (b"[1,2]", "is not an ostinato file"),
    "header that begins with a space": (b" " + header({"w": W}), "is not an ostinato file"),
    "not UTF-8": (header({"w": W}).replace(b"LSTM", b"\xff\xfe\xfd\xfc"), "header is not JSON"),
    "not closed": (header({"w": W})[:-1], "header is not JSON"),
    "two headers": (header({"w": W}) * 2, "header is not JSON"),
    "tensor twice": (twice(header({"w": W}), b'"w":'), "repeated key"),
    "metadata twice": (header({"w": W})[:-1] + b',"__metadata__":{}}', "repeated key"),
    "shape twice": (twice(header({"w": W}), b'"shape":'), "repeated key"),
    "NaN": (header(entry(shape=[float("nan")])), "NaN, which is not a number"),
    "1e999": (header({"w": W}).replace(b"[2]", b"[1e999]"), "1e999', which is out of range"),
    "number of a million digits": (header({"w": W}).replace(b"[2]", b"[" + b"9" * 900_000 + b"]"), "900000 digits"),
    "deep": (header({"w": W}).replace(b"[2]", b"[" * 400_000 + b"]" * 400_000), "header is not JSON"),
    "deep objects": (header({"w": W}).replace(b"[2]", b'{"":' * 150_000 + b"1" + b"}" * 150_000), "header is not JSON"),
    "half a character": (header({"w": W}).replace(b'"w"', b'"\\ud800"'), "header is not JSON"),
    "third word in the metadata": (header({"w": W}, code="x"), "needs 'ostinato' and 'sha256'"),
    "metadata that are no strings": (header({"w": W}, sha256=7), "both strings"),
    "hash of other letters": (
        header({"w": W}).replace(b'sha256":"0', b'sha256":"\\u0030'),
        "needs 64 hexadecimal digits",
    ),
    "hash in capitals": (header({"w": W}).replace(b"sha256", b"SHA256"), "needs 'ostinato' and 'sha256'"),
    "hash spaced out": (header({"w": W}).replace(b'256":"', b'256": "'), "does not match"),
}

MANIFESTS = {
    "a list": (header({"w": W}, [1]), "the manifest is not an object"),
    "not JSON": (header({"w": W}, "{"), "the manifest is not JSON"),
    "NaN": (header({"w": W}, {**MANIFEST, "extra": {"a": float("nan")}}), "NaN, which is not a number"),
    "key twice": (header({"w": W}, '{"kind":"layer","kind":"task"}'), "repeated key"),
    "deep": (header({"w": W}, "[" * 300_000), "the manifest is not JSON"),
    "half a character": (manifest(kind="\ud800"), "the manifest is not JSON"),
    "empty": (header({"w": W}, {}), "has format None"),
    "later format": (manifest(format=2), "has format 2: this ostinato knows 1: upgrade ostinato"),
    "format true": (manifest(format=True), "has format True"),
    "format 1.0": (manifest(format=1.0), "has format 1.0"),
    "no kind": (manifest(kind=None), "'kind' in the manifest must be a str: got None"),
    "class of a list": (manifest(**{"class": ["os.system"]}), "'class' in the manifest must be a str"),
    "arguments of text": (manifest(arguments="__import__('os')"), "'arguments' in the manifest must be a dict"),
    "spec too short": (manifest(spec={}), "spec: missing: 'inputs'"),
    "spec of a huge size": (manifest(spec={**Spec().to_json(), "outputs": 10**30}), "outputs must be at most"),
}

DATA = b"\x02" * 8


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_told_for_what_it_is(tmp_path: Path, case: str) -> None:
    blob, words = FOREIGN[case]
    assert_words(refused(tmp_path / "x.ost", blob), words)


def assert_words(found: str, wanted: str) -> None:
    assert re.search(wanted, found), found


@pytest.mark.parametrize("case", ENTRIES)
def test_a_wrong_tensor_is_named(tmp_path: Path, case: str) -> None:
    entries, words = ENTRIES[case]
    assert_words(refused(tmp_path / "x.ost", sealed(header(entries), DATA)), words)


@pytest.mark.parametrize("case", RAW)
def test_a_header_that_two_readers_could_read_in_two_ways_is_refused(tmp_path: Path, case: str) -> None:
    raw, words = RAW[case]
    assert_words(refused(tmp_path / "x.ost", sealed(raw, DATA)), words)


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_wrong_manifest_is_told(tmp_path: Path, case: str) -> None:
    raw, words = MANIFESTS[case]
    assert_words(refused(tmp_path / "x.ost", sealed(raw, DATA)), words)


def test_the_files_made_by_hand_fail_for_what_is_wrong_with_them_alone(tmp_path: Path) -> None:
    path = tmp_path / "good.ost"
    path.write_bytes(sealed(header({"w": W}), DATA))
    found, tensors = format.read(path)
    assert found == MANIFEST
    assert tensors["w"].tobytes() == DATA


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is asked for once: what comes after must be there all the same."""
    path = tmp_path / "x.ost"
    long = {"dtype": "U8", "shape": [100_000], "data_offsets": [0, 100_000]}  # more than a buffer holds
    path.write_bytes(sealed(header({"w": long}), bytes(100_000)))
    ask = os.fstat

    def ask_and_shrink(number: int) -> os.stat_result:
        found = ask(number)
        if os.path.samestat(found, path.stat()):
            os.truncate(path, found.st_size - 4)
        return found

    monkeypatch.setattr(os, "fstat", ask_and_shrink)
    with pytest.raises(FormatError, match="became shorter while it was read"):
        format.read(path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FormatError, match="is not a file"):
            format.read(path)
    with pytest.raises(FormatError, match=r"none\.ost: cannot be read: No such file"):
        format.read(tmp_path / "none.ost")
    with pytest.raises(FormatError, match="null"):
        format.read("a\0b")


def test_a_large_header_costs_a_bounded_amount_of_memory(tmp_path: Path) -> None:
    many = b"[[],{}," * 140_000 + b"0" + b"]" * 140_000
    wide = b"[" + b"{},[]," * 160_000 + b"0]"
    for inner in (many, wide):
        (tmp_path / "x.ost").write_bytes(sealed(header({"w": W}).replace(b"[2]", inner), DATA))  # < 1 MB
        tracemalloc.start()
        with pytest.raises(FormatError):
            format.read(tmp_path / "x.ost")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50e6


# ---- mutants


Mutation = Callable[[random.Random, bytes], bytes]


def parts(blob: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(blob[:8], "little")
    return blob[8 : 8 + length], blob[8 + length :]


def joined(raw: bytes, data: bytes) -> bytes:
    return len(raw).to_bytes(8, "little") + raw + data


def noise(chance: random.Random, most: int = 12) -> bytes:
    return chance.randbytes(chance.randint(1, most))


def flip(chance: random.Random, blob: bytes) -> bytes:
    changed = bytearray(blob)
    for _ in range(chance.choice([1, 1, 2, 8])):
        changed[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncate(chance: random.Random, blob: bytes) -> bytes:
    return blob[: chance.randrange(len(blob))]


def insert(chance: random.Random, blob: bytes) -> bytes:
    at = chance.randint(0, len(blob))
    return blob[:at] + noise(chance) + blob[at:]


def cut_out(chance: random.Random, blob: bytes) -> bytes:
    at = chance.randrange(len(blob))
    return blob[:at] + blob[at + chance.randint(1, 20) :]


def change_length(chance: random.Random, blob: bytes) -> bytes:
    near = int.from_bytes(blob[:8], "little") + chance.randint(-16, 16)
    length = chance.choice([near, chance.getrandbits(64), chance.getrandbits(20), 2**63, 2**64 - 1, 0])
    return max(length, 0).to_bytes(8, "little") + blob[8:]


def edit_text(chance: random.Random, blob: bytes) -> bytes:
    """Characters of the header exchanged, inserted or removed; the length follows, or not."""
    raw, data = parts(blob)
    at = chance.randrange(len(raw))
    new = chance.choice([b"", bytes([chance.choice(b'0123456789-.eE"\\{}[],: nulltrueF')])])
    edited = raw[:at] + new + raw[at + chance.randint(0, 2) :]
    return joined(edited, data) if chance.random() < 0.7 else blob[:8] + edited + data


def edit_table(chance: random.Random, blob: bytes) -> bytes:
    """A header that is JSON still, with one thing in it changed."""
    raw, data = parts(blob)
    table = json.loads(raw)
    names = [name for name in table if name != "__metadata__"]
    name, other = chance.choice(names), chance.choice(names)
    odd = chance.choice([-1, 0, 1, 2, 7, 8, 2**31, 2**64, 10**80, 1.5, None, True, "F64", "BF16", [], {}, [1], "é"])
    field = chance.choice(["dtype", "shape", "data_offsets"])
    kind = chance.randrange(6)
    if kind == 0:
        table[name][field], table[other][field] = table[other][field], table[name][field]
    elif kind == 1:
        table[name][field] = odd
    elif kind == 2 and isinstance(table[name][field], list) and table[name][field]:
        table[name][field][chance.randrange(len(table[name][field]))] = odd
    elif kind == 3:
        table[chance.choice(["é", "", other, "__metadata__"])] = table.pop(name)
    elif kind == 4:
        table[name] = odd
    else:
        table["__metadata__"][chance.choice(["sha256", "ostinato", "more"])] = odd
    return joined(json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode(), data)


def edit_manifest(chance: random.Random, blob: bytes) -> bytes:
    raw, data = parts(blob)
    table = json.loads(raw)
    manifest = json.loads(table["__metadata__"]["ostinato"])
    field = chance.choice(list(manifest))
    manifest[field] = chance.choice([None, 0, 1, 2, True, "", "os.system", [], {}, {"a": 1}, [[]], 1e300, 10**70])
    table["__metadata__"]["ostinato"] = json.dumps(manifest)
    return joined(json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode(), data)


def change_data(chance: random.Random, blob: bytes) -> bytes:
    raw, data = parts(blob)
    at, other = sorted(chance.sample(range(len(data)), 2))
    swapped = data[:at] + data[other:] + data[at:other]
    return joined(raw, chance.choice([swapped, data + noise(chance), data[::-1]]))


MUTATIONS: list[Mutation] = [
    *(flip, truncate, insert, cut_out, change_length, edit_text, edit_table, edit_manifest, change_data),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A layer, a checkpoint with history, and one of everything that a file can hold."""
    folder = tmp_path_factory.mktemp("originals")
    draw = np.random.default_rng(0)
    layer = {name: draw.normal(size=(8, 3)).astype("f4") for name in ("weight_ih_l0", "weight_hh_l0", "bias_l0")}
    state = {"tree": format.pack_json({"epoch": 3, "history": [0.5, 0.25]}), "step": np.array(7), "w": np.ones((2, 2))}
    every = {name: np.zeros((2, k % 3), dtype) for k, (name, dtype) in enumerate(DTYPES.items())}
    spec = Spec(inputs=2, outputs=3, classes=("naïve", "日本", "c")).to_json()
    format.write(folder / "0", layer, {**MANIFEST, "spec": spec})
    format.write(folder / "1", state, {"kind": "checkpoint"})
    format.write(folder / "2", every, MANIFEST)
    return [(folder / name).read_bytes() for name in "012"]


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_no_mutant_loads(tmp_path: Path, originals: list[bytes], count: int) -> None:
    chance = random.Random(count)
    tried = 0
    while tried < count:
        original = chance.choice(originals)
        mutant = chance.choice(MUTATIONS)(chance, original)
        if mutant != original:
            refused(tmp_path / "mutant.ost", mutant)
            tried += 1


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_mutant_with_the_right_hash_is_refused_or_read_as_safetensors_reads_it(
    tmp_path: Path, originals: list[bytes], count: int
) -> None:
    """Whoever makes a hostile file can make its hash too: then the other checks stand alone."""
    chance = random.Random(count)
    path = tmp_path / "mutant.ost"
    read = 0
    for _ in range(count):
        mutant = chance.choice(MUTATIONS)(chance, chance.choice(originals))
        path.unlink(missing_ok=True)
        path.write_bytes(sealed(*parts(mutant)) if len(mutant) > 8 else mutant)
        try:
            found = format.read(path)
        except FormatError:
            continue
        read += 1
        assert_read_alike(path, *found)
    assert count / 100 < read < count / 2, "the mutants are all alike"


def assert_read_alike(path: Path, manifest: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    wanted = safetensors.numpy.load_file(path)
    assert tensors.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)
        assert tensors[name].tobytes() == array.tobytes()
    assert manifest.keys() >= MANIFEST.keys()
    assert manifest["spec"] is None or Spec.from_json(manifest["spec"])


# ---- what a file may cost


MEASURE = """
    import sys
    from pathlib import Path
    import numpy as np
    from ostinato import format

    def peak():
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

    path, order = sys.argv[1:]
    format.write(path + ".small", {"w": np.ones(10)}, {"kind": "layer"})
    format.read(path + ".small")
    before = peak()
    if order == "read":
        manifest, tensors = format.read(path)
    else:
        format.write(path, {"w": np.ones((2, 4_000_000), order=order)}, {"kind": "layer"})
    print((peak() - before) / 64e6)
"""


@pytest.mark.parametrize(("order", "most"), [("C", 1.1), ("F", 2.1)])
def test_memory_is_at_most_twice_the_files_size_and_mostly_once(tmp_path: Path, order: str, most: float) -> None:
    """The tensors handed in count as well: written as they lie, they are all there is."""
    assert 0.9 < measured(tmp_path / "big.ost", order) < most
    assert 0.9 < measured(tmp_path / "big.ost", "read") < 1.1


def measured(path: Path, what: str) -> float:
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(path), what]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)

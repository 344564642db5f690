"""The kernels' own proof (csrc/proof), built with sanitizers: no report, no other bits, nothing that is not finite.

GCC's libgomp gives ThreadSanitizer false races, so that these builds take std::thread. One instruction set is enough
for what sanitizers see, since the source is one; masked loads, which they do not see, are watched by pages
that may not be touched.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILDS = {  # sanitizer -> instruction sets, cases
    "address,undefined": ("avx2", 1500),
    "thread": ("avx2", 600),
    "": ("plain;avx2;avx512;amx", 3000),
}


def here(isa):
    """Whether this machine has it."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return isa == "plain" or any(f" {isa}{more} " in flags for more in ("", "f", "_int8"))


def run(*words, **more):
    found = subprocess.run(words, capture_output=True, text=True, **more)
    assert found.returncode == 0, (found.stdout[-2000:], found.stderr[-4000:])
    return found.stdout


def cmake_here():
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    cmake = shutil.which("cmake", path=beside)
    assert cmake, "cmake was not found: the extra `dev` has it"
    return cmake


@pytest.mark.long
@pytest.mark.skipif(not here("avx2"), reason="the emulated instructions are made of those of AVX2")
def test_what_this_processor_lacks_is_proved_by_emulation(tmp_path):
    cmake = cmake_here()
    options = ["-DOSTINATO_PROOF=ON", "-DOSTINATO_EMULATED=ON", "-DOSTINATO_ISAS=plain;avx512;amx"]
    run(cmake, "-S", ROOT, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Release", "-DOSTINATO_STD_THREADS=ON", *options)
    run(cmake, "--build", tmp_path, "--parallel", "2")
    for isa in ("avx512", "amx"):
        said = run(tmp_path / "kernel_proof", "2000", env=os.environ | {"OSTINATO_ISA": isa})
        assert said == f"{isa}: 2000 cases, 0 failures\n"


@pytest.mark.long
@pytest.mark.parametrize("sanitizer", BUILDS, ids=lambda name: name or "guarded pages")
def test_no_report(sanitizer, tmp_path):
    cmake = cmake_here()
    asked, cases = BUILDS[sanitizer]
    isas = [isa for isa in asked.split(";") if here(isa)] or ["plain"]
    options = {
        "CMAKE_BUILD_TYPE": "Release", "OSTINATO_PROOF": "ON", "OSTINATO_STD_THREADS": "ON" if sanitizer else "OFF",
        "OSTINATO_SANITIZE": sanitizer, "OSTINATO_ISAS": ";".join(isas),
    }  # fmt: skip
    run(cmake, "-S", ROOT, "-B", tmp_path, *(f"-D{name}={value}" for name, value in options.items()))
    run(cmake, "--build", tmp_path, "--parallel", "2")
    for isa in isas:
        asked_for = {"OSTINATO_ISA": isa, "TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}
        said = run(tmp_path / "kernel_proof", str(cases), env=os.environ | asked_for)
        assert said == f"{isa}: {cases} cases, 0 failures\n"

"""The committed stub of the extension is what nanobind makes of it."""

import subprocess
import sys
from pathlib import Path

import ostinato


def test_the_stub_is_current(tmp_path):
    made = tmp_path / "_kernels.pyi"
    subprocess.run([sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "ostinato._kernels", "-o", made], check=True)
    there = Path(ostinato.__file__).with_name("_kernels.pyi")
    words = f"make it again: python -m nanobind.stubgen -m ostinato._kernels -o {there}"
    assert made.read_text() == there.read_text(), words

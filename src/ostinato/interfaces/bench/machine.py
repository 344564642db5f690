"""What stands above a table of times: the machine and the versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def described() -> dict[str, Any]:
    """Processor, cores, instruction set of the kernels, and versions."""
    from ostinato import __version__, _kernels

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor(),
        "cores": cores,
        "kernels": _kernels.instruction_set(),
        "python": platform.python_version(),
        "ostinato": __version__,
    }


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name where the system tells it.

    >>> processor(Path("nowhere")) == (platform.processor() or platform.machine())
    True
    """
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

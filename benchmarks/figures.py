"""The published-data runs of a task: rows that are not measured yet are run, then the docs' table is made anew.

    python benchmarks/figures.py --task forecast --data FOLDER [--only m4-hourly,airline] [--again] [--threads N]

A line a figure is appended to benchmarks/figures.jsonl; docs/figures-TASK.md is written from those lines.
"""

import sys

from figures.command import main  # the folder beside this file

if __name__ == "__main__":
    sys.exit(main())

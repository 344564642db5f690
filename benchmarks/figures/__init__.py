"""Figures on published data: a file a task names its rows; the others run them, keep what came out, and show it."""

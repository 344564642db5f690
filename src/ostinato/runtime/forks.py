"""After a fork: a child has the memory of OpenMP's pool but none of its threads, and would wait for them for ever."""

import os

_forked = False


def _in_child() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_in_child)


def threads_here(wanted: int) -> int:
    """So many, or in a forked child one, which needs no pool; what is computed has the same bits.

    Always, not only where this module ran on several threads: others in the process may share the pool.
    """
    return 1 if _forked else wanted

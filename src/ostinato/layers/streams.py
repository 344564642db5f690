"""Which random numbers a layer's masks are made of: a stream for each place, of the one key of a forward pass."""

_USES = ("layer", "weight", "state", "h", "c")


def stream(layer: int, direction: int, use: str) -> int:
    """A number for each place a mask is for, so that no two share random numbers."""
    return (layer * 2 + direction) * len(_USES) + _USES.index(use)


def stream_of_state(layer: int, direction: int, i: int) -> int:
    """Of the state's tensor i; those beyond h and c, which only a cell of one's own has, come after all others."""
    return stream(layer, direction, "hc"[i]) if i < 2 else (i << 20) + layer * 2 + direction

"""The model file: safetensors with a JSON manifest, and one hash over every byte.

    8 bytes     N, the length of the header, little-endian
    N bytes     JSON: {"__metadata__": {"ostinato": manifest, "sha256": hash},
                       name: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, ...}
    the rest    the tensors, end to end

The hash is SHA-256 of the whole file with its own 64 characters read as zeros, so one flipped bit
anywhere is found before anything is used. Any safetensors tool can load the tensors.
Layout: https://github.com/safetensors/safetensors (format).
"""

from ostinato.format.atomic import replace, replace_text, sweep
from ostinato.format.layout import FormatError
from ostinato.format.plain import pack_json, unpack_json
from ostinato.format.reader import read
from ostinato.format.writer import write

__all__ = ["FormatError", "pack_json", "read", "replace", "replace_text", "sweep", "unpack_json", "write"]

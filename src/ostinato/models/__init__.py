"""The design patterns as short compositions: encoders, decoders, and a head that answers."""

from ostinato.models.encoder import Encoder
from ostinato.models.sequence_to_vector import SequenceToVector

__all__ = ["Encoder", "SequenceToVector"]

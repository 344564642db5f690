"""The design patterns as short compositions of layers and heads."""

from ostinato.models.answers import answers
from ostinato.models.encoder import Encoder
from ostinato.models.forecasters import Direct, Segments
from ostinato.models.mixture import Mixture
from ostinato.models.tcn import TCN

__all__ = ["TCN", "Direct", "Encoder", "Mixture", "Segments", "answers"]

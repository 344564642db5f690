"""Texts: read, divided into words or units, held out, and brought into batches."""

from ostinato.data.text.labelled import Labelled, read_labelled, read_texts
from ostinato.data.text.plain import Plain, read_plain
from ostinato.data.text.split import holdout, joined, words_of
from ostinato.data.text.tagged import Tagged, read_sentences, read_tagged
from ostinato.data.text.units import Units
from ostinato.data.text.vectors import Vectors, read_vectors

__all__ = [
    "Labelled",
    "Plain",
    "Tagged",
    "Units",
    "Vectors",
    "holdout",
    "joined",
    "read_labelled",
    "read_plain",
    "read_sentences",
    "read_tagged",
    "read_texts",
    "read_vectors",
    "words_of",
]

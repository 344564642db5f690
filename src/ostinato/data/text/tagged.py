"""Sentences whose words have a tag each: CoNLL-U, column files, lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.data.errors import DataError
from ostinato.data.text.columns import is_columns, is_conllu, sentences_of, tag_column
from ostinato.data.text.source import Source, opened
from ostinato.data.text.split import words_of


@dataclass(frozen=True)
class Tagged:
    """Sentences, word by word.

    Attributes:
        words: of each sentence.
        tags: one for each word.
        source: what errors call them.
        notes: what was done, each a sentence without a stop.
    """

    words: list[list[str]]
    tags: list[list[str]]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Sentences."""
        return len(self.words)

    def pick(self, numbers: Sequence[int]) -> Tagged:
        """These sentences, in this order."""
        return Tagged([self.words[k] for k in numbers], [self.tags[k] for k in numbers], self.source, self.notes)

    def kinds(self) -> tuple[str, ...]:
        """The tags that occur, in the order of the alphabet.

        Raises:
            DataError: there is one only, so that there is nothing to tell apart.

        >>> Tagged([["a", "dog"]], [["DET", "NOUN"]], "list").kinds()
        ('DET', 'NOUN')
        """
        found = tuple(sorted({tag for tags in self.tags for tag in tags}))
        if len(found) < 2:
            raise DataError(self.source, f"every tag is {found[0]!r}", "give another column with --column")
        return found


def read_tagged(source: Any, *, column: str | int | None = None, on_bad: str = "error") -> Tagged:
    """Sentences with tags, out of whatever holds them.

    Args:
        source: path of a file, `.gz` too: CoNLL-U (its comments, word ranges and empty nodes are passed over), or
            lines of a word and its tags, tabs or blanks between, a blank line after each sentence; a pair (words,
            tags) of lists of lists; a list of sentences, each a list of pairs (word, tag).
        column: of the tags, its place from 0, or in CoNLL-U its name (upos, xpos, deprel, ...); left out: upos, or
            the last.
        on_bad: "skip" leaves out sentences with a broken line, and counts them.

    Raises:
        DataError: in one line, what is wrong, where, and what to do.

    >>> read_tagged([[("a", "DET"), ("dog", "NOUN")]]).tags
    [['DET', 'NOUN']]
    """
    if isinstance(source, Tagged):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _from_file(opened(source, on_bad), column)
    return _from_lists(source)


def _from_file(file: Source, column: str | int | None) -> Tagged:
    conllu = is_conllu(file)
    place, called = tag_column(file, conllu, column)
    sentences = [each for each in sentences_of(file, conllu, place) if each]
    if not sentences and not file.refusals.count:
        raise DataError(file.name, "holds no words", "give lines of a word and its tag")
    if not sentences:
        broken = f"all {file.refusals.count} sentences are broken"
        raise DataError(file.name, broken, f"correct them, first {file.refusals.first}")
    words = [[word for word, _ in sentence] for sentence in sentences]
    tags = [[tag for _, tag in sentence] for sentence in sentences]
    return Tagged(words, tags, file.name, (f"took tags from {called}", *file.notes()))


def _from_lists(source: Any) -> Tagged:
    """A tuple of two is (words, tags), anything else sentences of pairs."""
    todo = "give (words, tags), or a list of sentences of pairs (word, tag)"
    try:
        if isinstance(source, tuple) and len(source) == 2:
            words, tags = ([[str(each) for each in sentence] for sentence in part] for part in source)
        else:
            rows = [[(str(word), str(tag)) for word, tag in sentence] for sentence in source]
            words, tags = ([[pair[k] for pair in sentence] for sentence in rows] for k in (0, 1))
    except (TypeError, ValueError) as error:
        raise DataError("list", f"no words with tags ({error})", todo) from error
    if len(words) != len(tags) or not any(words):
        raise DataError("list", f"{len(words)} sentences and tags for {len(tags)}", todo)
    for k, (own, given) in enumerate(zip(words, tags, strict=True)):
        if len(own) != len(given):
            raise DataError("list", f"{len(own)} words and {len(given)} tags", "give a tag for each word", row=k)
    return Tagged(words, tags, "list")


def read_sentences(source: Any) -> list[list[str]]:
    """Sentences without tags, to be tagged.

    Args:
        source: a string is a sentence, not a path, and is divided by `words_of`; a list of strings, or of lists of
            words; a `Path` of a file as `read_tagged` takes them, or of plain lines, a sentence each.

    Raises:
        DataError: it cannot be read.

    >>> read_sentences("A dog, again.")
    [['A', 'dog', ',', 'again', '.']]
    """
    if isinstance(source, str):
        return [words_of(source)]
    if isinstance(source, Tagged):
        return source.words
    if isinstance(source, os.PathLike):
        return _sentences(opened(Path(source)))
    sentences = list(source)
    wrong = [each for each in sentences if not isinstance(each, (str, list, tuple))]
    if wrong:
        raise DataError("list", f"{type(wrong[0]).__name__} that is no sentence", "give strings, or lists of words")
    return [words_of(each) if isinstance(each, str) else [str(word) for word in each] for each in sentences]


def _sentences(file: Source) -> list[list[str]]:
    conllu = is_conllu(file)
    if conllu or is_columns(file):
        return [[word for word, _ in sentence] for sentence in sentences_of(file, conllu, None)]
    return [words_of(line) for _, line in file.filled()]

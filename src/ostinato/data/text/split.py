"""Texts into words and back, and rows into those that are learnt from and those that are held out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_CLITICS = "s|re|ve|ll|d|m"  # it's, we're, ...
_TITLES = "mr|mrs|ms|dr|prof|jr|sr|vs|etc"  # words whose point is theirs
_TAIL = ".,;:!?%)]}»”…'’"  # no blank before them in text that is shown
_HEAD = "([{«“"


def words_of(text: str) -> list[str]:
    """The words of a text: words, numbers and marks, in Unicode; no letter of the text is lost but blanks.

    - A word is letters, digits, underscores and combining marks; hyphens and apostrophes within it stay
      (re-imagining, O'Brien). English endings come apart as in the Penn Treebank (do n't, it 's), French
      beginnings too (l' homme, qu' il).
    - Web and mail addresses, @names, #tags, <tags>, emoticons, U.S., Mr. and numbers such as 1,234.5 are one word each.
    - A run of the same mark (..., !!) is one word, any other mark one of its own. Chinese characters and
      Japanese kana, which no blanks divide, are one word each.

    A text that is words with blanks between them already, such as treebanks' own, stays so.

    >>> words_of("It's a re-imagining, isn't it?! See https://a.org :-)")
    ['It', "'s", 'a', 're-imagining', ',', 'is', "n't", 'it', '?', '!', 'See', 'https://a.org', ':-)']
    """
    return [match[0] for match in _pattern().finditer(text)]


def joined(words: Sequence[str]) -> str:
    """Words as a text that is shown: no blank before a comma or n't, none after an opening bracket.

    >>> joined(["It", "'s", "good", ",", "is", "n't", "it", "?"])
    "It's good, isn't it?"
    """
    text: list[str] = []
    for word in words:
        close = not text or text[-1][-1:] in _HEAD or _leans(word)
        text += [word] if close else [" ", word]
    return "".join(text)


def _leans(word: str) -> bool:
    """Whether it stands close to the word before."""
    return word[:1] in _TAIL or word.lower() in ("n't", "n’t")


@lru_cache(1)
def _pattern() -> re.Pattern[str]:
    marks = _combining_marks()
    letter = rf"(?:[^\W{_DENSE}][{marks}]*|[\u200c\u200d](?=[^\W{_DENSE}]))"
    apostrophe = "['’]"
    no = rf"n{apostrophe}t(?!{letter})"
    ending = rf"(?:{no}|{apostrophe}(?:{_CLITICS})(?:(?!{letter})|(?={no})))"
    beginning = rf"(?:[ldjcnstm]|qu|jusqu|lorsqu|puisqu){apostrophe}(?!(?:{_CLITICS}|t)(?!{letter}))(?={letter}|\s|\Z)"
    start = rf"(?<![^\W{_DENSE}])"  # no letter of a word stands before
    inner = rf"(?:(?!{ending}){letter})+"
    return re.compile(
        rf"""
        (?:https?://|www\.)[^\s<>"]*[^\s<>"'.,;:!?)\]]     # web addresses
        | [\w.+-]{{1,64}}@[\w-]+(?:\.[\w-]+)+               # mail; bounded, or a long run of letters takes forever
        | </?\w+\s?/?>                                      # <unk>, <br />
        | @[-.,]@                                           # WikiText's own marks
        | -[lr][rcs]b-                                      # the Penn Treebank's brackets
        | [@\#](?:{letter})+
        | {start}(?<![:;=])[:;=]['-]?[()DPp](?!\w)                # emoticons
        | \d+(?:[.,]\d+)+
        | {start}(?:[a-z]\.){{2,}}                           # u.s., i.e.
        | {start}(?:{_TITLES})\.
        | {start}{apostrophe}\d\ds(?!{letter})               # '90s
        | {ending}
        | {start}{beginning}
        | {inner}(?:(?:-|(?!{ending}){apostrophe}){inner})*
        | [{_DENSE}][{marks}]*
        | ([^\w\s])\1+
        | [^\w\s](?:[{marks}]|[\U0001f3fb-\U0001f3ff]|\u200d[^\w\s])*
        | \S
        """,
        re.VERBOSE | re.IGNORECASE,
    )


_DENSE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Han: no blanks between words


def _combining_marks() -> str:
    """Vowel signs and accents that stand as characters of their own, as a class of `re`, which has no name for them."""
    spans: list[list[int]] = []
    for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)):  # there are none elsewhere
        if unicodedata.category(chr(code))[0] == "M":
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in spans)


def holdout(
    n: int,
    share: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    labels: Sequence[Hashable] | None = None,
) -> tuple[Numbers, Numbers]:
    """Numbers of the rows that are learnt from and of those that are held out, each in order.

    Args:
        n: rows.
        share: of the rows to hold out, between 0 and 1.
        seed: of the draw.
        groups: what must not be divided: rows of one group come to one side.
        labels: each class is held out in that share, as near as whole rows allow; a class of one row is learnt from.

    Raises:
        ValueError: the arguments do not fit.

    >>> train, test = holdout(10, 0.2, seed=0, labels="aaaaabbbbb")
    >>> len(train), sorted("aaaaabbbbb"[k] for k in test)
    (8, ['a', 'b'])
    """
    if not 0 < share < 1:
        raise ValueError(f"share lies between 0 and 1, found {share}")
    for name, given in (("groups", groups), ("labels", labels)):
        if given is not None and len(given) != n:
            raise ValueError(f"{len(given)} {name} for {n} rows")
    random = np.random.default_rng([seed, n])
    held = _by_row(n, share, random, labels) if groups is None else _by_group(n, share, random, groups, labels)
    test = np.zeros(n, dtype=bool)
    test[held] = True
    return np.flatnonzero(~test), np.flatnonzero(test)


def _by_row(n: int, share: float, random: np.random.Generator, labels: Sequence[Hashable] | None) -> list[int]:
    """Class by class the first of a random order; what is left over of whole rows goes to the largest remainders."""
    classes = [random.permutation(rows).tolist() for rows in _gathered(labels, n)]
    exact = [share * len(rows) for rows in classes]
    counts = [min(int(count), len(rows) - 1) for count, rows in zip(exact, classes, strict=True)]
    left = max(1, round(share * n)) - sum(counts)
    order = sorted(range(len(classes)), key=lambda k: counts[k] - exact[k])
    for k in order[: max(0, left)]:
        counts[k] += counts[k] + 1 < len(classes[k])
    return [row for rows, count in zip(classes, counts, strict=True) for row in rows[:count]]


def _by_group(
    n: int, share: float, random: np.random.Generator, groups: Sequence[Hashable], labels: Sequence[Hashable] | None
) -> list[int]:
    """Groups in random order, each held out where that brings the classes nearer to their share."""
    classes = _gathered(labels, n)
    own = np.zeros(n, dtype=np.int64)
    for k, rows in enumerate(classes):
        own[rows] = k
    wanted = share * np.bincount(own, minlength=len(classes)).astype(np.float64)
    left = np.bincount(own, minlength=len(classes))
    held: list[int] = []
    gathered = _gathered(groups, n)
    order = random.permutation(len(gathered)).tolist()
    for k in order:
        counts = np.bincount(own[gathered[k]], minlength=len(classes))
        # Nearer in squares: half of what is added may lie beyond what is wanted.
        nearer = (counts * (wanted - counts / 2)).sum() > 0
        if nearer and (left[counts > 0] > counts[counts > 0]).all():
            held += gathered[k]
            wanted -= counts
            left -= counts
    if held or len(gathered) < 2:
        return held
    return min((gathered[k] for k in order), key=len)  # few groups, and large: at least one is held out


def _gathered(keys: Sequence[Hashable] | None, n: int) -> list[list[int]]:
    """Rows by their key, keys in order of appearance; all together where there are no keys."""
    if keys is None:
        return [list(range(n))] if n else []
    found: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        found.setdefault(key, []).append(row)
    return list(found.values())

"""Data that come with installed packages."""

from __future__ import annotations

import io
import keyword
import sys
import tokenize
from collections import Counter, defaultdict

import pytest

from ostinato.data import DataError
from ostinato.data.builtin import names, python_source, topics
from ostinato.data.text.program import tagged_lines


def test_names() -> None:
    data = names()
    counts = Counter(data.labels)
    assert len(counts) >= 10
    assert min(counts.values()) > 100
    assert len(set(data.texts)) == len(data), "no name has two answers"
    assert data.texts == names().texts
    latin = sum(all(ord(letter) < 0x250 for letter in name.replace("’", "")) for name in data.texts)
    assert latin > 0.6 * len(data), "the script alone does not tell"


def test_names_without_faker(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.partition(".")[0] == "faker":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(DataError, match=r"pip install ostinato\[text\]"):
        names()


def test_topics() -> None:
    assert len(topics()) > 200_000
    assert "compound statements" in topics().text


def test_python_source_asks_for_context() -> None:
    """A table of each word's most frequent tag is wrong on many words."""
    data = python_source()
    assert len({tuple(words) for words in data.words}) > 0.99 * len(data)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in zip(data.words, data.tags, strict=True):
        assert len(words) == len(tags) > 0
        for word, tag in zip(words, tags, strict=True):
            table[word][tag] += 1
    known = sum(counts.most_common(1)[0][1] for counts in table.values())
    assert known < 0.92 * sum(map(len, data.words))


PROGRAM = '''\
"""Doc."""
import os.path as p, sys
from a.b import c as d, e
@decorated(1)
class A(Base, key=1):
    def run(self, x: int = 0, *rest, **more) -> str:
        self.value = x.y(z)[0].w
        with open(f"{x!r}") as file, lock:
            é = [q for q in rest if not q]
        match = "a rather long string that goes on"
        print(é, file=file); return lambda v: v
'''


def test_what_names_are() -> None:
    found = [
        " ".join(f"{word}/{tag}" for word, tag in line if tag not in ("keyword", "operator"))
        for line in tagged_lines(PROGRAM)
    ]
    assert found == [
        '"""Doc."""/docstring',
        "os/module path/module p/target sys/module",
        "a/module b/module c/import d/target e/import",
        "decorated/call 1/number",
        "A/class Base/name key/argument 1/number",
        "run/function self/parameter x/parameter int/name 0/number rest/parameter more/parameter str/name",
        "self/name value/attribute x/name y/method z/name 0/number w/attribute",
        'open/call f"{x!r}"/string file/target lock/name',
        "é/target q/name q/target rest/name q/name",
        'match/target "a rather long str...on"/string',
        "print/call é/name file/argument file/name v/parameter v/name",
    ]


def test_tokens_are_pythons_own() -> None:
    source = "x = f'{a}' + 'b'  # why\nif (x and\n    not y): pass\n"
    words = [word for line in tagged_lines(source) for word, _ in line]
    left_out = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT)
    tokens = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source.replace("f'", "'")).readline)
        if token.type not in left_out
    ]
    assert [word.removeprefix("f") if word.startswith("f'") else word for word in words] == tokens
    tags = {word: tag for line in tagged_lines(source) for word, tag in line}
    assert all((tags[word] == "keyword") == keyword.iskeyword(word) for word in tags)


def test_no_python() -> None:
    with pytest.raises(SyntaxError):
        list(tagged_lines("def"))

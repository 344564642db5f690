"""Python source as sentences to tag: a logical line is a sentence, its tokens are words, their part in the syntax tags.

Python's own tokenizer divides, its own parser says what a name is: one that is called, assigned to, a parameter, ...
The same word is now this, now that, so a table of words and tags is not enough.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator

Place = tuple[int, int]  # line from 1, character from 0
Sentence = list[tuple[str, str]]

LONGEST = 24  # characters of a string that are kept
_LEFT_OUT = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


def tagged_lines(source: str) -> Iterator[Sentence]:
    """The logical lines of a program, each a list of (token, tag).

    Tags: keyword, operator, number, string, docstring; of names: module, import, function and class where they are
    defined, parameter, argument (a keyword of a call), target (assigned to), call, method (an attribute that is
    called), attribute, and name for any other.

    Raises:
        SyntaxError: it is no Python.

    >>> for line in tagged_lines("def f(x):\\n    return x.g(y=f)"):
    ...     print(*(f"{word}/{tag}" for word, tag in line))
    def/keyword f/function (/operator x/parameter )/operator :/operator
    return/keyword x/name ./operator g/method (/operator y/argument =/operator f/name )/operator
    """
    roles = _Roles(source)
    line: list[tokenize.TokenInfo] = []
    for token in _whole_strings(source):
        if token.type == tokenize.NEWLINE:
            if line:
                yield _sentence(line, roles)
            line = []
        elif token.type not in _LEFT_OUT:
            line.append(token)


def _sentence(line: list[tokenize.TokenInfo], roles: _Roles) -> Sentence:
    alone = len(line) == 1 and line[0].type == tokenize.STRING
    found: Sentence = []
    for k, token in enumerate(line):
        before = line[k - 1].string if k else ""
        tag = "docstring" if alone else _tag(token, before, roles)
        word = token.string if token.type != tokenize.STRING else _short(token.string)
        found.append((word, tag))
    return _imported(found) if line[0].string in ("from", "import") else found


def _tag(token: tokenize.TokenInfo, before: str, roles: _Roles) -> str:
    if token.type == tokenize.STRING:
        return "string"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type != tokenize.NAME:
        return "operator"
    if keyword.iskeyword(token.string):
        return "keyword"
    if before in ("def", "class"):
        return "function" if before == "def" else "class"
    role = roles.at.get(token.start)
    if role is None and not before and token.string in keyword.softkwlist:
        return "keyword"
    return role or ("target" if before == "as" else "name")


def _imported(line: Sentence) -> Sentence:
    """from MODULE import NAME as TARGET; import MODULE as TARGET."""
    found: Sentence = []
    now = "module"
    for word, tag in line:
        if word == "import" and line[0][0] == "from":
            now = "import"
        plain = tag in ("keyword", "operator")
        found.append((word, tag if plain else "target" if found and found[-1][0] == "as" else now))
    return found


def _short(string: str) -> str:
    """A string whose middle says nothing about its place: its two ends are kept."""
    plain = " ".join(string.split())
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 6]}...{plain[-3:]}"


def _whole_strings(source: str) -> Iterator[tokenize.TokenInfo]:
    """Tokens; an f-string is one, as it was before Python 3.12."""
    depth, parts = 0, []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        depth += name.endswith("STRING_START")
        if not depth:
            yield token
            continue
        parts.append(token)
        if name.endswith("STRING_END"):
            depth -= 1
            if not depth:
                text = _between(source, parts[0].start, token.end)
                yield tokenize.TokenInfo(tokenize.STRING, text, parts[0].start, token.end, parts[0].line)
                parts = []


def _between(source: str, start: Place, end: Place) -> str:
    lines = source.splitlines(keepends=True)[start[0] - 1 : end[0]]
    lines[-1] = lines[-1][: end[1]]
    lines[0] = lines[0][start[1] :]
    return "".join(lines)


class _Roles(ast.NodeVisitor):
    """Where each name stands and what it is there."""

    def __init__(self, source: str) -> None:
        self.at: dict[Place, str] = {}
        self._lines = source.splitlines()
        self.visit(ast.parse(source))

    def visit_Name(self, node: ast.Name) -> None:
        self._mark(node.lineno, node.col_offset, "name" if isinstance(node.ctx, ast.Load) else "target")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._mark_attribute(node, "attribute")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            self._mark(node.func.lineno, node.func.col_offset, "call")
        elif isinstance(node.func, ast.Attribute):
            self._mark_attribute(node.func, "method")

    def visit_arg(self, node: ast.arg) -> None:
        self._mark(node.lineno, node.col_offset, "parameter")
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg is not None:
            self._mark(node.lineno, node.col_offset, "argument")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """What stands in an f-string is not looked at: the string is one word."""

    def _mark_attribute(self, node: ast.Attribute, role: str) -> None:
        if node.end_lineno is not None and node.end_col_offset is not None:
            self._mark(node.end_lineno, node.end_col_offset - len(node.attr.encode()), role)

    def _mark(self, line: int, byte: int, role: str) -> None:
        """The parser counts bytes, the tokenizer characters."""
        text = self._lines[line - 1]
        self.at[line, byte if text.isascii() else len(text.encode()[:byte].decode())] = role

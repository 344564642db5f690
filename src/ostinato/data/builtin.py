"""Data that come with packages which are installed anyway; nothing is fetched."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ostinato.data.errors import DataError
from ostinato.data.text.labelled import Labelled
from ostinato.data.text.plain import Plain
from ostinato.data.text.tagged import Tagged

SUNSPOTS = "sunspots (built in: yearly means from 1700, SILSO, from statsmodels)"
NAMES = "names (built in: surnames and their languages, from faker)"
TOPICS = "topics (built in: Python's own help on its language)"
PYTHON = "python (built in: source of Python's standard library)"

MOST_NAMES = 600  # of a language
LANGUAGES = {
    "Croatian": ("hr_HR",),
    "Dutch": ("nl_NL",),
    "English": ("en_US", "en_GB"),
    "Estonian": ("et_EE",),
    "Finnish": ("fi_FI",),
    "French": ("fr_FR", "fr_QC"),
    "German": ("de_DE", "de_AT"),
    "Greek": ("el_GR",),
    "Irish": ("ga_IE",),
    "Italian": ("it_IT",),
    "Russian": ("ru_RU",),
    "Slovak": ("sk_SK", "cs_CZ"),
    "Spanish": ("es_ES", "es_MX"),
    "Swedish": ("sv_SE",),
    "Ukrainian": ("uk_UA",),
    "Zulu": ("zu_ZA",),
}
MODULES = ("argparse", "calendar", "configparser", "difflib", "fractions", "shutil", "statistics", "tempfile")


def sunspots() -> Path:
    """The yearly sunspot numbers that statsmodels carries, found without importing it.

    Raises:
        DataError: statsmodels is not installed, or came without its data.

    >>> sunspots().name
    'sunspots.csv'
    """
    found = find_spec("statsmodels")
    folder = Path(found.origin).parent if found and found.origin else None
    path = folder / "datasets" / "sunspots" / "sunspots.csv" if folder else None
    if path is None or not path.exists():
        missing = "statsmodels and its data are not installed"
        raise DataError("sunspots", missing, "pip install statsmodels, or give a file")
    return path


def names() -> Labelled:
    """Surnames and the language they are of, out of the locales of faker: what `classify` learns without data.

    Names that occur in several languages are left out, so that no name has two answers.

    Raises:
        DataError: faker is not installed.

    >>> data = names()
    >>> len(data.classes()), len(data) > 4000, len(set(data.texts)) == len(data)
    (16, True, True)
    """
    found = {language: _surnames(locales) for language, locales in LANGUAGES.items()}
    languages = Counter(name for known in found.values() for name in known)
    rows = [
        (name, language)
        for language, known in found.items()
        for name in sorted(name for name in known if languages[name] == 1)[:: 1 + len(known) // MOST_NAMES]
    ]
    note = "left out names that occur in several languages"
    return Labelled([name for name, _ in rows], [language for _, language in rows], NAMES, (note,))


def _surnames(locales: tuple[str, ...]) -> set[str]:
    """Read as data; nothing of them is drawn."""
    found: set[str] = set()
    for locale in locales:
        try:
            module = import_module(f"faker.providers.person.{locale}")
        except ImportError as error:
            raise DataError("names", "faker is not installed", "pip install ostinato[text], or give a file") from error
        found |= {str(name) for name in module.Provider.last_names}
    return {name for name in found if name == name.strip() and len(name) > 1}


def topics() -> Plain:
    """Python's own help on its language, which ships with it: what `generate` learns without data.

    >>> topics().text.count("statement") > 100
    True
    """
    from pydoc_data.topics import topics as texts

    text = "\n\n".join(texts[name].strip() for name in sorted(texts)) + "\n"
    return Plain(text, TOPICS)


def python_source() -> Tagged:
    """Lines of Python's standard library and what each of their tokens is: what `tag` learns without data.

    Each line is there once.

    Raises:
        DataError: the library is installed without its source.

    >>> data = python_source()
    >>> len(data) > 3000, len(data.kinds())
    (True, 16)
    """
    from ostinato.data.text.program import tagged_lines

    lines: dict[tuple[tuple[str, str], ...], None] = {}
    for name in MODULES:
        found = find_spec(name)
        if found is None or found.origin is None or not Path(found.origin).is_file():
            raise DataError("python", f"the source of {name} is not installed", "give a file")
        for line in tagged_lines(Path(found.origin).read_text(encoding="utf-8")):
            lines.setdefault(tuple(line))
    words, tags = ([[pair[k] for pair in line] for line in lines] for k in (0, 1))
    return Tagged(words, tags, PYTHON, (f"lines of {', '.join(MODULES)}, each once",))

"""The rows of tagging: parts of speech of English, and names in noisy text."""

from __future__ import annotations

from .page import Sheet
from .row import Row

STANZA = "Qi et al. (2020), Stanza, table 2: v2.5 of the treebank, from raw text, words found by itself"
WNUT = "Derczynski et al. (2017), Results of the WNUT2017 Shared Task; the best system"
EWT = "DATA/tagging/ud_english_ewt/en_ewt-ud"
NAMES = "DATA/tagging/wnut17"

SHEET = Sheet(
    "most_frequent_tag",
    "More is better. The best classical baseline is the better one of each word's most frequent tag and a hidden "
    "Markov model. No pretrained vectors are used where the command names none.",
)
QUICK = "--epochs 1 --hidden-size 8 --letters none --baselines most_frequent_tag"

ROWS: tuple[Row, ...] = (
    Row(
        "ewt-upos",
        f"ostinato tag {EWT}-train.conllu.gz --column upos --valid {EWT}-dev.conllu.gz --test {EWT}-test.conllu.gz",
        "the treebank's own: tested on 2,077 sentences, 25,094 words",
        ("accuracy",),
        published={"accuracy": {"Stanza": 0.954}},
        source=STANZA,
        quick=QUICK,
    ),
    Row(
        "wnut17",
        f"ostinato tag {NAMES}/wnut17train.conll --valid {NAMES}/emerging.dev.conll "
        f"--test {NAMES}/emerging.test.annotated",
        "the shared task's own: tested on 1,287 sentences whose names are new",
        ("f1",),
        published={"f1": {"UH-RiTUAL": 0.4186}},
        source=WNUT,
        quick=QUICK,
    ),
)

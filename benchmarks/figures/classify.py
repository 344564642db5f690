"""The rows of classifying texts: sentiment, spam, languages of surnames, sections of packages."""

from __future__ import annotations

from functools import partial

from . import texts
from .page import Sheet
from .row import Row

KIM = "Kim (2014), Convolutional Neural Networks for Sentence Classification, table 2, CNN-rand: no pretrained vectors"
TAI = "Tai, Socher and Manning (2015), Improved Semantic Representations From Tree-Structured LSTMs, table 2, GloVe"
SPAM = "Almeida, Hidalgo and Yamakami (2011), Contributions to the Study of SMS Spam Filtering"

SHEET = Sheet(
    "majority",
    "More is better. The best classical baseline is the better one of TF-IDF + logistic regression over words "
    "and over letters, where the latter does not take minutes. No pretrained vectors are used where the command "
    "names none.",
)
QUICK = "--epochs 1 --members 1 --hidden-size 8"

ROWS: tuple[Row, ...] = (
    Row(
        "sst2",
        "ostinato classify DATA/textcls/sst/phrases.train.tsv.gz --valid DATA/textcls/sst/stsa.binary.dev "
        "--test DATA/textcls/sst/stsa.binary.test",
        "the treebank's own: trained on 67,349 phrases, tested on 1,821 sentences",
        ("accuracy",),
        published={"accuracy": {"CNN-rand": 0.827, "LSTM with GloVe": 0.849, "BiLSTM with GloVe": 0.875}},
        source=f"{KIM}; {TAI}",
        known={"majority": {"accuracy": 0.499}},  # 909 of the 1,821 are positive, as most phrases are
        quick=QUICK,
    ),
    Row(
        "mr",
        "TextClassifier().experiment(train, test=fold), each of ten folds; the means",
        "10-fold cross-validation on 10,662 sentences, folds drawn at random",
        ("accuracy",),
        measure=partial(texts.crossed, folds=10),
        published={"accuracy": {"CNN-rand": 0.761}},
        source=KIM,
    ),
    Row(
        "sms-spam",
        "TextClassifier().experiment(train, test=rest), 30 % to learn from, five draws; the means",
        "30 % of 5,574 messages to learn from, the rest to measure on, equal messages on one side; five draws",
        ("accuracy", "f1"),
        measure=partial(texts.drawn, share=0.7, draws=5),
        published={"accuracy": {"SVM": 0.9764}},
        source=SPAM,
    ),
    Row(
        "names18",
        "ostinato classify DATA/textcls/names18",
        "a fifth of 20,050 surnames, drawn at random within each of 18 languages, equal names on one side",
        ("accuracy", "macro_f1"),
        quick=QUICK,
    ),
    Row(
        "debian-sections",
        "ostinato classify DATA/text2text/debian_descriptions/train.tsv.gz --text text --label section --on-bad skip "
        "--valid DATA/text2text/debian_descriptions/valid.tsv.gz --test DATA/text2text/debian_descriptions/test.tsv.gz",
        "the files', related packages on one side",
        ("accuracy", "macro_f1"),
        quick=QUICK,
    ),
)

"""The rows of language models: words of the Penn Treebank, characters of Shakespeare, Bach's chorales."""

from __future__ import annotations

from .page import Sheet
from .row import Row

ZAREMBA = "Zaremba, Sutskever and Vinyals (2014), Recurrent Neural Network Regularization, table 1: 2 x 200, no dropout"
NANOGPT = "the README of nanoGPT: validation loss of a GPT of 10.7 million parameters on the same characters"
BAI = "Bai, Kolter and Koltun (2018), An Empirical Evaluation of Generic Convolutional and Recurrent Networks, table 1"
PTB = "DATA/restricted/ptb/ptb"

SHEET = Sheet(
    "unigram",
    "Less is better. nll is in nats a unit, of music in nats a frame. The best classical baseline is the best of "
    "n-grams with Kneser and Ney's smoothing and frequencies alone; of music, of two laws of single notes.",
)
QUICK = "--epochs 1 --hidden-size 8"

ROWS: tuple[Row, ...] = (
    Row(
        "ptb",
        f"ostinato generate {PTB}.train.txt.gz --unit word --cell lstm --hidden-size 200 --num-layers 2 "
        f"--valid {PTB}.valid.txt.gz --test {PTB}.test.txt.gz",
        "Mikolov's: tested on 82,430 words, ends of lines counted",
        ("perplexity",),
        published={"perplexity": {"LSTM 2 x 200": 114.5}},
        source=ZAREMBA,
        quick=QUICK,
    ),
    Row(
        "tinyshakespeare",
        "ostinato generate DATA/lm/tinyshakespeare/input.txt --unit char",
        "the last tenth of 1,115,394 characters",
        ("nll", "bits_per_character"),
        published={"nll": {"nanoGPT": 1.4697}},
        source=NANOGPT,
        quick=QUICK,
    ),
    Row(
        "jsb",
        "ostinato generate DATA/music/JSB_Chorales.mat",
        "the file's: 229 chorales to learn from, 76 to stop by, 77 to measure on",
        ("nll",),
        published={"nll": {"GRU": 8.43, "LSTM": 8.45, "TCN": 8.10, "RNN": 8.91}},
        source=BAI,
        quick=QUICK,
    ),
)

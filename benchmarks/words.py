"""An epoch of each task of words beside the same network on torch.nn's recurrent layers with packed sequences.

What a task's `fit` would train is caught before it is trained: the network, its batches, its objective. In a copy
every recurrent layer is torch.nn's, with the same weights. Both must give the same loss and gradients on the first
batches, all that is random off; then both train, batch by batch in turns, and must end the epoch with the same mean
loss. Only then is a time printed. Sentences are drawn: as many words, as long and as unevenly frequent as in real ones.
"""

import argparse
import copy
import time

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ostinato as ost
from ostinato import training

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CHECKED = 3  # batches whose loss and gradients are compared
WORDS = 10_000


class Packed(nn.Module):
    """torch.nn's layer where ours was: lengths become a packed sequence."""

    def __init__(self, ours):
        super().__init__()
        words = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        self.layer = KINDS[ours.cell](**{word: getattr(ours, word) for word in words})
        self.layer.load_state_dict(ours.state_dict())

    def forward(self, input, hx=None, *, lengths=None):
        if lengths is None:
            return self.layer(input, hx)
        known = lengths.cpu().clamp(min=1)  # torch packs no empty row; who has one leaves its output aside
        packed = pack_padded_sequence(input, known, batch_first=True, enforce_sorted=False)
        output, state = self.layer(packed, hx)
        return pad_packed_sequence(output, batch_first=True, total_length=input.shape[1])[0], state


def on_torch(network):
    """A copy with torch.nn's layers."""
    twin = copy.deepcopy(network)
    for module in list(twin.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, ost.Recurrent):
                setattr(module, name, Packed(part))
    return twin


class Caught(Exception):  # noqa: N818  no error: it carries what was caught
    """What a task handed to the training loop."""


def caught(task, data):
    """The network, batches and objective that `task.fit(data)` would train with, all that is random off."""

    def fit(model, batches, objective, settings, **_):
        raise Caught(model, batches, objective)

    real, training.fit = training.fit, fit
    try:
        task.fit(data)
    except Caught as found:
        model, batches, objective = found.args
    finally:
        training.fit = real
    for module in model.modules():
        for name in [name for name in vars(module) if name.endswith("dropout")]:
            setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if "rate" in module._buffers:  # of words that are now and then taken for unknown
            module.rate.zero_()
    return model.train(), batches, objective


class Run:
    """One network in training; the state of truncated back-propagation goes on from batch to batch."""

    def __init__(self, network, objective):
        self.network, self.objective, self.state, self.total, self.count = network, objective, None, 0.0, 0.0
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def loss(self, batch):
        total, count, self.state = self.objective(self.network, batch, cut(self.state))
        self.total, self.count = self.total + float(total.detach()), self.count + float(count)
        return total / count

    def step(self, batch):
        self.optimizer.zero_grad()
        self.loss(batch).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()

    @property
    def mean(self):
        return self.total / self.count


def cut(state):
    """A state that no gradient goes through."""
    if state is None or isinstance(state, torch.Tensor):
        return None if state is None else state.detach()
    return tuple(cut(part) for part in state)


def check(ours, theirs, batches):
    """No time is printed of a network that learns something else."""
    for _, batch in zip(range(CHECKED), batches.epoch(0), strict=False):
        a, b = ours.loss(batch), theirs.loss(batch)
        assert abs(a.item() - b.item()) <= 1e-5 * max(1.0, abs(b.item())), f"losses differ: {a.item()}, {b.item()}"
        grads = [torch.autograd.grad(x, list(run.network.parameters())) for x, run in ((a, ours), (b, theirs))]
        for mine, its in zip(*grads, strict=True):
            assert (mine - its).abs().max().item() <= 2e-4 * max(1.0, its.abs().max().item()), "gradients differ"


def in_turns(ours, theirs, batches, epoch):
    """Seconds of both, over all batches."""
    seconds = [0.0, 0.0]
    for k, batch in enumerate(track(list(batches.epoch(epoch)), console=Console(stderr=True), transient=True)):
        for place in (0, 1) if k % 2 else (1, 0):
            began = time.perf_counter()
            (ours, theirs)[place].step(batch)
            seconds[place] += time.perf_counter() - began
    return seconds


def measured(task, data, epochs):
    """(our seconds, torch's) of an epoch, the network, and how many batches; the best of `epochs`."""
    network, batches, objective = caught(task, data)
    twin, found = on_torch(network), []
    check(Run(network, objective), Run(twin, objective), batches)
    for epoch in range(epochs):
        ours, theirs = Run(network, objective), Run(twin, objective)
        found.append(in_turns(ours, theirs, batches, epoch))
        off = abs(ours.mean - theirs.mean) / max(1.0, abs(theirs.mean))
        assert off <= 1e-3, f"mean losses differ after an epoch: {ours.mean}, {theirs.mean}"
    return min(found, key=sum), len(batches)


# ---- Tasks and data


def sentences(count, rng, mean=18):
    """Words by Zipf's law; lengths as those of newspaper text: uneven, few very long."""
    likely = 1 / np.arange(1, WORDS + 1)
    lengths = rng.gamma(3.0, mean / 3, size=count).astype(int) + 1
    words = rng.choice(WORDS, p=likely / likely.sum(), size=int(lengths.sum()))
    ends = np.cumsum(lengths)
    return [[f"w{k}" for k in words[end - n : end]] for n, end in zip(lengths, ends, strict=True)]


def runs(count):
    """(what, task, its data)."""
    rng = np.random.default_rng(0)
    lines = sentences(count, rng)
    texts, plain = [" ".join(line) for line in lines], {"cell": "lstm", "dropout": 0.0}
    labels = [str(sum(map(len, line)) % 2) for line in lines]
    tags = [[f"T{len(word) + int(word[-1])}" for word in line] for line in lines]
    yield "classify", "words, both ways", ost.TextClassifier(unit="word", members=1, **plain), (texts, labels)
    names = ["".join(rng.choice(list("abcdefghijklmnop"), size=rng.integers(3, 12))) for _ in range(2 * count)]
    kinds = [name[-1] for name in names]
    yield "classify", "letters of names", ost.TextClassifier(unit="char", members=1, **plain), (names, kinds)
    yield "tag", "words and letters, both ways", ost.Tagger(**plain), (lines, tags)
    small = {"unit": "word", "hidden_size": 200, "num_layers": 2, "weight_dropout": 0.0}
    yield "generate", "words, 2 x 200", ost.LanguageModel(**small, **plain), "\n".join(texts) + "\n"
    letters = {"unit": "char", "hidden_size": 256, "weight_dropout": 0.0}
    yield "generate", "characters, 256", ost.LanguageModel(**letters, **plain), "\n".join(texts[: count // 3]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2, help="the faster one counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"torch {torch.__version__}, {options.threads} threads; seconds of an epoch of {options.sentences} sentences\n"
    )
    print("| task | network | batches | ours | torch.nn, packed | ratio |\n|---|---|---:|---:|---:|---:|")
    for task, what, model, data in runs(options.sentences):
        (ours, theirs), batches = measured(model, data, options.epochs)
        print(f"| {task} | {what} | {batches} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()

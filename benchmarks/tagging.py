"""Words a second of a tagger, beside the same network on torch.nn with packed sequences, and of the chain's loss.

Values and tags are compared first; then ours and theirs run in turns in one process, medians. Times are of one machine.
"""

import argparse
import copy
import time

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ostinato as ost
from ostinato.data.builtin import python_source
from ostinato.data.text.batches import by_length
from ostinato.data.text.forms import Forms
from ostinato.ops import chain
from ostinato.tasks.tagging.networks import build
from ostinato.tasks.tagging.plan import plan


class Packed(nn.Module):
    """torch.nn's layer where ours stood: padding is packed away, as torch's users do."""

    def __init__(self, ours):
        super().__init__()
        kind = getattr(nn, ours.cell.upper())
        self.layer = kind(
            ours.input_size, ours.hidden_size, ours.num_layers, batch_first=True, bidirectional=ours.bidirectional
        )
        self.layer.load_state_dict(ours.state_dict())

    def forward(self, x, lengths=None):
        packed = pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        y, state = self.layer(packed)
        return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], state


def pair(head, cell):
    """Our network and its twin, and sentences in batches."""
    data = python_source()
    forms, sizes = Forms.fit(data.words), plan(data, ost.Tagger(head=head, cell=cell).options)
    ours = build(sizes, forms, data.kinds()).eval()
    theirs = copy.deepcopy(ours)
    theirs.encoder.recurrent = Packed(ours.encoder.recurrent)
    theirs.words.letters.reader = Packed(ours.words.letters.reader)
    sentences = forms.read(data.words)
    batches = [sentences.spelled(sentences[rows]) for rows in by_length(sentences.lengths.tolist(), 32)]
    return ours, theirs, batches


def check(ours, theirs, batches):
    """No speed is printed of a network that gives other numbers."""
    with torch.no_grad():
        for batch in batches:
            inside = ours.inside(batch)
            torch.testing.assert_close(ours(batch)[inside], theirs(batch)[inside], rtol=0, atol=1e-4)


def tag(model, batches):
    with torch.no_grad():
        for batch in batches:
            model.predict(batch)


def train(model, batches):
    for batch in batches:
        model.zero_grad()
        total, count = model.head.loss(model(batch), batch["words"] % model.head.outputs, model.inside(batch))
        (total / count).backward()


def in_turns(run, sides, rounds):
    """Seconds of each side, and the ratio: medians over rounds of ours, theirs."""
    for side in sides:
        run(*side)
    found = []
    for _ in range(rounds):
        times = []
        for side in sides:
            began = time.perf_counter()
            run(*side)
            times.append(time.perf_counter() - began)
        found.append((*times, times[1] / times[0]))
    return [sorted(column)[len(found) // 2] for column in zip(*found, strict=True)]


def chain_loss(partition, raw, parts, lengths):
    torch.autograd.grad(partition(raw, chain.Moves(*parts), lengths).sum(), [raw, *parts])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {options.threads} threads\n")
    print("| network | pass | ours, words/s | torch.nn, words/s | ratio |\n|---|---|---:|---:|---:|")
    for cell, head in (("lstm", "softmax"), ("lstm", "crf"), ("gru", "softmax")):
        ours, theirs, batches = pair(head, cell)
        batches = batches[:: max(1, len(batches) // 24)]
        check(ours, theirs, batches)
        words = sum(int(batch["lengths"].sum()) for batch in batches)
        for what, run in (("tag", tag), ("train", train)):
            mine, other, ratio = in_turns(run, [(ours, batches), (theirs, batches)], options.rounds)
            print(f"| {cell}, {head} | {what} | {words / mine:,.0f} | {words / other:,.0f} | {ratio:.2f} |", flush=True)
    print("\n| tags | batch, steps | loss and gradient as products, ms | in logarithms, ms | ratio |")
    print("|---:|---|---:|---:|---:|")
    for tags, batch, steps in ((9, 32, 25), (17, 32, 25), (50, 32, 25)):
        raw = torch.randn(batch, steps, tags, requires_grad=True)
        parts = [torch.randn(shape, requires_grad=True) for shape in ((tags, tags), (tags,), (tags,))]
        lengths = torch.randint(1, steps + 1, (batch,))
        both = chain.log_partition, chain.log_partition_plain
        torch.testing.assert_close(*(way(raw, chain.Moves(*parts), lengths) for way in both))
        sides = [(way, raw, parts, lengths) for way in both]
        mine, other, ratio = in_turns(chain_loss, sides, 5 * options.rounds)
        print(f"| {tags} | {batch}, {steps} | {1e3 * mine:.2f} | {1e3 * other:.2f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()

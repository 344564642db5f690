"""Our layers beside torch.nn's: values and gradients first, then in turns in one process, medians of the ratios.

Times of one run on one machine; only the ratios travel. Prints a table in Markdown.
"""

import argparse
import math
import time

import torch
from rich.console import Console
from rich.progress import track

import ostinato as ost
from ostinato import _kernels

SHAPES = [
    (1, 100, 32, 64),
    (1, 100, 128, 128),
    (32, 50, 1, 20),
    (32, 100, 64, 128),
    (64, 100, 128, 256),
    (64, 50, 512, 512),
    (128, 24, 3, 64),
    (100, 24, 3, 32),
]  # (batch, steps, input, hidden)


def pair(kind, shape):
    """Ours and torch's layer with the same weights, and data that is neither zero nor constant."""
    batch, steps, features, hidden = shape
    ours = getattr(ost, kind)(features, hidden)
    theirs = getattr(torch.nn, kind)(features, hidden, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, torch.randn(batch, steps, features), torch.randn(batch, steps, hidden)


def train(layer, x, weight):
    layer.zero_grad()
    (layer(x)[0] * weight).sum().backward()


def check(ours, theirs, x, weight):
    """No speed is printed of a layer that gives other numbers."""
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=2e-5)
    for layer in (ours, theirs):
        train(layer, x, weight)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1.0, b.grad.abs().max().item())
        assert (a.grad - b.grad).abs().max().item() <= 2e-4 * scale, f"the gradient of {name} differs"


def forward(layer, x, _):
    with torch.no_grad():
        layer(x)


def in_turns(run, ours, theirs, x, weight, rounds):
    """(our time, their time, ratio): medians over rounds of ours, theirs, ours, theirs."""
    once = []
    for layer in (ours, theirs, ours, theirs):
        run(layer, x, weight)
    for _ in range(rounds):
        times = []
        for layer in (ours, theirs):
            began = time.perf_counter()
            run(layer, x, weight)
            times.append(time.perf_counter() - began)
        once.append((*times, times[1] / times[0]))
    return tuple(sorted(column)[len(once) // 2] for column in zip(*once, strict=True))


def rows(kinds, shapes, rounds):
    for kind in kinds:
        for shape in track(shapes, description=kind, console=Console(stderr=True), transient=True):
            ours, theirs, x, weight = pair(kind, shape)
            check(ours, theirs, x, weight)
            n = rounds if math.prod(shape) < 4e8 else max(7, rounds // 2)
            with_dx = x.clone().requires_grad_()
            for what, run, data in (("forward", forward, x), ("train", train, x), ("train + dx", train, with_dx)):
                yield kind, shape, what, *in_turns(run, ours, theirs, data, weight, n)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15, help="rounds of ours, theirs")
    parser.add_argument("--kinds", default="RNN,LSTM,GRU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, kernels {_kernels.instruction_set()}, {options.threads} threads; ms\n")
    print("| cell | batch, steps, input, hidden | pass | ours | torch.nn | ratio |\n|---|---|---|---:|---:|---:|")
    ratios = {}
    for kind, shape, what, ours, theirs, ratio in rows(options.kinds.split(","), SHAPES, options.rounds):
        ratios.setdefault(what, []).append(ratio)
        print(
            f"| {kind} | {', '.join(map(str, shape))} | {what} | {ours * 1e3:.3f} | {theirs * 1e3:.3f} | {ratio:.2f} |",
            flush=True,
        )
    print()
    for what, found in ratios.items():
        mean = math.exp(sum(map(math.log, found)) / len(found))
        print(f"{what}: geometric mean {mean:.2f}, lowest {min(found):.2f}")


if __name__ == "__main__":
    main()

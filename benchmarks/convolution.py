"""Our convolution beside torch.nn's on (batch, time, features): values and gradients first, then in turns.

torch.nn.Conv1d wants (batch, features, time): it is given a transposed view, and its output is viewed back, as whoever
has time before features would do. Times of one run on one machine; only the ratios travel. Prints a table in Markdown.
"""

import argparse
from functools import partial

import torch
from rich.console import Console
from rich.progress import track

import ostinato as ost
from ostinato.interfaces.bench.clock import in_turns
from ostinato.interfaces.bench.row import OURS

SHAPES = [
    (32, 400, 1, 25, 7, 4),
    (32, 100, 25, 25, 7, 4),
    (32, 100, 150, 150, 3, 2),
    (50, 40, 300, 100, 4, 1),
    (1000, 14, 25, 30, 3, 1),
    (8, 1000, 64, 64, 3, 16),
    (128, 60, 32, 32, 3, 4),
]  # (batch, steps, inputs, outputs, kernel size, dilation)


class Theirs(torch.nn.Conv1d):
    """torch's causal convolution of (batch, time, features)."""

    def forward(self, x):
        before = self.dilation[0] * (self.kernel_size[0] - 1)
        return super().forward(torch.nn.functional.pad(x.transpose(1, 2), (before, 0))).transpose(1, 2)


def pair(shape):
    batch, steps, inputs, outputs, kernel_size, dilation = shape
    ours = ost.Conv1d(inputs, outputs, kernel_size, dilation=dilation, causal=True)
    theirs = Theirs(inputs, outputs, kernel_size, dilation=dilation)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, torch.randn(batch, steps, inputs), torch.randn(batch, steps, outputs)


def forward(layer, x, weight):
    with torch.no_grad():
        layer(x)


def train(layer, x, weight):
    layer.zero_grad()
    (layer(x) * weight).sum().backward()


def turn(once, layer, _):
    once(layer)


def check(ours, theirs, x, weight):
    """No speed is printed of a layer that gives other numbers."""
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=2e-5)
    for layer in (ours, theirs):
        train(layer, x, weight)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1.0, b.grad.abs().max().item())
        assert (a.grad - b.grad).abs().max().item() <= 2e-4 * scale, f"the gradient of {name} differs"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=31, help="rounds of ours, theirs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {options.threads} threads; ms\n")
    print(
        "| batch, steps, inputs, outputs, kernel, dilation | pass | ours | torch.nn | ratio |\n|---|---|---:|---:|---:|"
    )
    for shape in track(SHAPES, console=Console(stderr=True), transient=True):
        ours, theirs, x, weight = pair(shape)
        check(ours, theirs, x, weight)
        with_dx = x.clone().requires_grad_()
        for what, run, data in (("forward", forward, x), ("train", train, x), ("train + dx", train, with_dx)):
            once = partial(run, x=data, weight=weight)
            times = in_turns({OURS: partial(turn, once, ours), "torch.nn": partial(turn, once, theirs)}, options.rounds)
            mine, its = times.seconds().values()
            sizes, ratio = ", ".join(map(str, shape)), times.ratios()["torch.nn"]
            print(f"| {sizes} | {what} | {mine * 1e3:.3f} | {its * 1e3:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()

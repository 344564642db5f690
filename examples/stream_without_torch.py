"""A layer trained in torch, saved, and run step by step where there is no torch."""

import tempfile
from pathlib import Path

import numpy as np
import torch

import ostinato as ost
import ostinato.runtime


def main():
    torch.manual_seed(0)
    layer, path = ost.GRU(3, 32, num_layers=2).eval(), Path(tempfile.mkdtemp()) / "layer.ost"
    ost.save(layer, path)

    x = np.random.default_rng(0).normal(size=(1, 50, 3)).astype(np.float32)
    stream = ostinato.runtime.load(path).stream(batch=1)  # from here on nothing needs torch
    steps = np.stack([stream.step(x[:, t]).copy() for t in range(x.shape[1])], axis=1)

    whole = layer(torch.from_numpy(x))[0].detach().numpy()
    difference = float(np.abs(steps - whole).max())
    print(f"50 steps, one at a time, beside the whole sequence in torch: largest difference {difference:.1e}")
    return difference


if __name__ == "__main__":
    main()

"""A recurrent cell of one's own, trained to remember the first number of a sequence.

The minimal gated unit (Zhou 2016) in one class; layers, lengths and training come with it.
"""

import torch

import ostinato as ost


class MinimalGatedUnit(ost.GatedCell):
    """h' = (1 - f) h + f tanh(W_n x + R_n (f h)), f = sigmoid(W_f x + R_f h)."""

    name, gates = "minimal", ("f", "n")

    def shapes(self):  # one bias is enough: that of W x, which wx has already
        return {name: shape for name, shape in super().shapes().items() if name != "bias_hh"}

    def advance(self, w, wx, seen, state):
        (x_f, x_n), (R_f, R_n) = wx.chunk(2, -1), w["weight_hh"].chunk(2)
        f = torch.sigmoid(x_f + seen @ R_f.T)
        return ((1 - f) * state[0] + f * torch.tanh(x_n + (f * seen) @ R_n.T),)


def main(steps=150):
    torch.manual_seed(0)
    layer, head = ost.Recurrent("minimal", 1, 16, initializer="orthogonal"), torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    for step in range(steps):
        x, lengths = torch.rand(64, 12, 1) - 0.5, torch.randint(1, 13, (64,))
        _, h = layer(x, lengths=lengths)
        loss = (head(h[-1]) - x[:, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:4}   squared error {loss.item():.4f}   (guessing the mean: {1 / 12:.4f})")
    return loss.item()


if __name__ == "__main__":
    main()

"""The processes that torchrun started: each takes every n-th row of the same batch."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from typing import Any

import safetensors.numpy
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ostinato.training import checkpoint, trees


class Ranks:
    """All processes of one run; alone, every method gives back what it got.

    Gradients are summed by one all-reduce of the flat gradient rather than by DistributedDataParallel,
    which averages over ranks, sees only what passes through `forward` (an objective may call any method
    of its model), and waits for ever for a rank whose share of a small batch is empty.

    Args:
        device: "auto", or torch's name for one; on CUDA each process takes the GPU of its local rank.

    Raises:
        ValueError: there is no such device.
    """

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = _device(device)
        if dist.is_available() and dist.is_initialized():  # by an earlier run, or by the caller
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
        elif self.world > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            atexit.register(dist.destroy_process_group)

    def share(self, batch: Any) -> Any:
        """This rank's rows of a batch, on its device; None where there are none for it."""
        if self.world == 1:
            return trees.change(batch, by=lambda t: t.to(self.device))
        rows = {len(leaf) for leaf in trees.leaves(batch) if leaf.dim()}
        if len(rows) != 1:
            raise ValueError(f"processes share a batch by its rows, but its tensors have {sorted(rows)} of them")
        if max(rows) <= self.rank:
            return None
        return trees.change(batch, by=lambda t: (t[self.rank :: self.world] if t.dim() else t).to(self.device))

    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Rank 0's values, in place, on every rank."""
        for tensor in tensors if self.world > 1 else ():
            dist.broadcast(tensor.detach(), 0)

    def sum(self, *values: float) -> list[float]:
        """Each value, summed over the ranks."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def sum_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Each gradient becomes its sum over the ranks; one that no rank has stays None."""
        if self.world == 1:
            return
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        parts = [has, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters)]
        flat = torch.cat(parts)
        dist.all_reduce(flat)
        has, *sums = flat.split([len(part) for part in parts])
        for p, there, gradient in zip(parameters, has.tolist(), sums, strict=True):
            p.grad = gradient.view_as(p).to(p.dtype) if there else None

    def gather(self, tree: Any) -> list[Any]:
        """The trees of all ranks, by rank. They travel as tensors and JSON: nothing is pickled."""
        if self.world == 1:
            return [tree]
        own = torch.frombuffer(bytearray(safetensors.numpy.save(checkpoint.pack(tree))), dtype=torch.uint8)
        sizes = [int(n) for n in self.sum(*(len(own) * (r == self.rank) for r in range(self.world)))]
        padded = torch.cat([own, own.new_zeros(max(sizes) - len(own))]).to(self.device)
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        raw = [part[:size].cpu().numpy().tobytes() for part, size in zip(parts, sizes, strict=True)]
        return [checkpoint.unpack({k: a.copy() for k, a in safetensors.numpy.load(each).items()}) for each in raw]


def _device(wanted: str) -> torch.device:
    cuda = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if cuda else "cpu") if wanted == "auto" else wanted)
    except RuntimeError as error:
        raise ValueError(f"device={wanted!r} is none that torch knows: use 'auto', 'cpu' or 'cuda'") from error
    if device.type != "cuda":
        return device
    if not cuda or (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={wanted!r}, but torch finds {torch.cuda.device_count()} CUDA devices here")
    index = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())) if device.index is None else device.index
    torch.cuda.set_device(index)
    return torch.device("cuda", index)

"""What training leaves to look at: one plain row an epoch, and callbacks that watch it happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ostinato.training.loop import Trainer


class History(list[dict[str, Any]]):
    """One plain dict an epoch: epoch, step, loss, learning_rate, gradient_norm, seconds, and where there is
    validation valid_loss and its other numbers as valid_NAME. A number that is not finite is None.

    >>> History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]).to_frame()["loss"].tolist()
    [0.5, 0.25]
    """

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row an epoch."""
        import pandas as pd

        return pd.DataFrame(list(self))

    def plot(self) -> Figure:
        """The losses over the epochs, as a matplotlib figure; no display is needed."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.add_subplot(xlabel="epoch", ylabel="loss")
        for name, label in (("loss", "training"), ("valid_loss", "validation")):
            rows = [row for row in self if row.get(name) is not None]
            if rows:
                axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], marker=".", label=label)
        if axes.lines:
            axes.legend()
        return figure


class Callback:
    """Something that watches training, in Keras's manner; `self.trainer.stop = True` ends it.

    Each method gets `logs`, a dict of plain numbers. Under torchrun callbacks run in process 0 alone.

    >>> class Until(Callback):
    ...     def on_epoch_end(self, logs):
    ...         self.trainer.stop = logs["loss"] < 0.1
    """

    trainer: Trainer

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        """Before the first step; `logs` is empty."""

    def on_epoch_begin(self, logs: dict[str, Any]) -> None:
        """`logs`: epoch, counted from 1."""

    def on_batch_end(self, logs: dict[str, Any]) -> None:
        """`logs`: epoch, batch, step, loss, learning_rate, gradient_norm (before clipping)."""

    def on_epoch_end(self, logs: dict[str, Any]) -> None:
        """`logs`: the epoch's row of the history."""

    def on_train_end(self, logs: dict[str, Any]) -> None:
        """The model has its final weights; `logs`: the history's last row."""

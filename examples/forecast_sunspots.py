"""Forecast the yearly sunspots in five lines, with the held-out end measured beside a seasonal naive forecast."""

import numpy as np

import ostinato as ost
from ostinato.data import builtin, read_series


def main(epochs=None):
    values = read_series(builtin.sunspots()).values
    known, later = values[:-22], values[-22:]

    model = ost.Forecaster(horizon=22, season=11, epochs=epochs)
    model.fit(known)
    forecast = model.predict()["forecast"].to_numpy()

    ours, naive = np.abs(forecast - later).mean(), np.abs(np.resize(known[-11:], 22) - later).mean()
    print(f"mean absolute error over 22 years: ostinato {ours:.1f}, the last cycle again {naive:.1f}")
    return ours, naive


if __name__ == "__main__":
    main()

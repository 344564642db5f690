"""The rows of forecasting: competitions and benchmarks with published figures, and series that everybody knows."""

from __future__ import annotations

from functools import partial

from . import ett, m3
from .page import Sheet
from .row import Row

M4 = "Makridakis, Spiliotis and Assimakopoulos (2020), The M4 Competition, hourly series"
SEGRNN = "Lin et al. (2023), SegRNN, arXiv 2308.11200; the table for look-back 96 in the authors' repository"
THETA = "Makridakis and Hibon (2000), The M3-Competition, as in table 14 of Oreshkin et al. (2020), N-BEATS"

SHEET = Sheet(
    "seasonal_naive",
    "Less is better, but for direction (more) and coverage (the nearer to its level the better). The best classical "
    "baseline is the best of naive, seasonal naive, drift, Markov chain, Naive2, ARIMA and ETS, as far as they were "
    "run on all that is held out.",
)
LAST = "the last horizons, one to five by the length of the data, each two of the shortest seasons"
WEATHER = "DEWP,TEMP,PRES,cbwd,Iws,Is,Ir"


def _m4_hourly() -> Row:
    files = "DATA/forecast/m4/Hourly-train.csv.gz --test DATA/forecast/m4/Hourly-test.csv.gz"
    return Row(
        "m4-hourly",
        f"ostinato forecast {files} --horizon 48 --season 24",
        "the competition's test file: 48 steps of 414 series",
        ("owa", "smape", "mase", "coverage_80", "coverage_95"),
        published={
            "owa": {"ES-RNN (winner)": 0.440, "ARIMA": 0.577, "the organisers' RNN": 1.036},
            "smape": {"ES-RNN (winner)": 9.328},
            "mase": {"ES-RNN (winner)": 0.893},
        },
        source=M4,
        known={"seasonal_naive": {"smape": 13.912, "mase": 1.193}, "naive2": {"smape": 18.383, "mase": 2.395}},
    )


def _ett(horizon: int, mse: float, mae: float) -> Row:
    return Row(
        f"ett-h1-{horizon}",
        f"Forecaster(horizon={horizon}, look_back={ett.LOOK_BACK}, time='date', target=all seven columns)"
        ".fit(train, validation=valid), from every place of the test part",
        "rows 8,640 / 2,880 / 2,880; every test window, values standardised by the training rows",
        ("mse", "mae"),
        measure=partial(ett.measure, horizon=horizon),
        published={"mse": {"SegRNN": mse}, "mae": {"SegRNN": mae}},
        source=SEGRNN,
    )


def _known_to_all(name: str, words: str, split: str = LAST, *more: str) -> Row:
    return Row(name, f"ostinato forecast DATA/forecast/{words}", split, ("mae", *more))


def _m3(group: str, count: int, horizon: int, season: int, theta: float) -> Row:
    return Row(
        f"m3-{group.lower()}",
        f"Forecaster(horizon={horizon}, season={season}).experiment(train, test=test), M3, {group}",
        f"the competition's test values: {horizon} steps of {count:,} series",
        ("smape",),
        measure=partial(m3.measure, group=group, horizon=horizon, season=season),
        published={"smape": {"Theta (winner)": theta}},
        source=THETA,
    )


ROWS: tuple[Row, ...] = (
    _m4_hourly(),
    _ett(96, 0.368, 0.395),
    _ett(192, 0.408, 0.419),
    _ett(336, 0.444, 0.440),
    _ett(720, 0.446, 0.457),
    _known_to_all("airline", "classic/airline-passengers.csv --horizon 24", "the last 24 months"),
    _known_to_all("shampoo", "classic/shampoo.csv --horizon 6", "the last 6 months"),
    _known_to_all("sunspots", "classic/monthly-sunspots.csv"),
    _known_to_all("births", "classic/daily-total-female-births.csv"),
    _known_to_all("min-temperatures", "classic/daily-min-temperatures.csv"),
    _known_to_all("ontario", "ontario_demand/Ontario_energy_demand_2003-2016.csv.gz"),
    _known_to_all("beijing", f"beijing_pm25/pollution.csv.gz --target pm2.5 --past {WEATHER}"),
    _known_to_all("sp500", "stocks/sp500-2000.csv.gz --target close", LAST, "direction"),
    _known_to_all("stocks", 'stocks/stocks_ohlcv_5.csv.gz --id Ticker --target "Adj Close"', LAST, "direction"),
    _m3("MONTHLY", 1428, 18, 12, 13.85),
    _m3("QUARTERLY", 756, 8, 4, 8.96),
    _m3("YEARLY", 645, 6, 1, 16.90),
    _m3("OTHER", 174, 8, 1, 4.41),
)

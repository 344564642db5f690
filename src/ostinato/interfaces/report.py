"""report.html: one file with everything in it, readable on light and on dark."""

from __future__ import annotations

from html import escape

from ostinato import __version__
from ostinato.interfaces.figures import figure
from ostinato.interfaces.screen import number, told, verdict
from ostinato.tasks.outcome import Outcome

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
:root {{ --paper: #fdfdfc; --ink: #1d2126; --soft: #667079; --line: #d9dde1; --good: #1a7f4b; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #16191d; --ink: #e6e8ea; --soft: #9aa4ad; --line: #343a41; --good: #5fc795; }}
}}
body {{ background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; margin: 0; }}
main {{ max-width: 58rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }}
h2 {{ font-size: 1.15rem; margin: 2.4rem 0 .5rem; }}
p.lead {{ font-size: 1.05rem; margin: .2rem 0 1.2rem; }}
.soft, figcaption {{ color: var(--soft); font-size: .92rem; }}
figure {{ margin: 0; }}
svg {{ width: 100%; height: auto; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }}
th, td {{ padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
th {{ font-weight: 600; color: var(--soft); }}
td.best {{ color: var(--good); font-weight: 700; }}
tr.ours td:first-child {{ font-weight: 700; }}
ul {{ padding-left: 1.2rem; }}
p.passage {{ margin: .1rem 0 .9rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
p.heading {{ margin: .7rem 0 0; color: var(--soft); font-size: .92rem; }}
p.passage span {{ border-radius: .2em; }}
</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""


def render(outcome: Outcome) -> str:
    """The page."""
    parts = [
        f"<h1>{escape(outcome.task)}: {escape(outcome.data)}</h1>",
        f'<p class="lead">{escape(verdict(outcome))}</p>',
        "<h2>Held out, beside the baselines</h2>",
        _metrics(outcome),
        *(f'<p class="soft">{escape(told(sample, outcome.best))}</p>' for sample in outcome.samples),
        *(_figure(outcome, k) for k in range(len(outcome.charts))),
        _answer(outcome),
        "<h2>What was done</h2>",
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in outcome.notes) + "</ul>",
        "<h2>Settings</h2>",
        _settings(outcome),
        f'<p class="soft">{outcome.parameters:,} parameters, {outcome.epochs} epochs, {outcome.seconds:.1f} s, '
        f"seed {outcome.seed}, ostinato {escape(__version__)}</p>",
    ]
    title = f"ostinato {outcome.task}: {outcome.data}"
    return _PAGE.format(title=escape(title), body="\n".join(part for part in parts if part))


def _metrics(outcome: Outcome) -> str:
    names = [metric for metric in outcome.metrics if metric != "coverage"]
    best = {metric: outcome.winner(metric) for metric in outcome.best}
    rows = []
    for who, scores in outcome.rows():
        cells = "".join(
            f"<td{' class=best' if best.get(metric) == who else ''}>{number(scores.get(metric))}</td>"
            for metric in names
        )
        ours = " class=ours" if who == "ostinato" else ""
        rows.append(f"<tr{ours}><td>{escape(who.replace('_', ' '))}</td>{cells}</tr>")
    return _table(["", *names], rows)


def _answer(outcome: Outcome) -> str:
    header, rows = outcome.answer
    if not rows:
        return ""
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    more = f'<p class="soft">All of it is in {outcome.predictions}.</p>'
    return f"<h2>{escape(outcome.answer_title)}</h2>" + _table(list(header), lines) + more


def _settings(outcome: Outcome) -> str:
    pairs = ((key.replace("_", " "), str(value)) for key, value in outcome.settings.items())
    return _table(["setting", "value"], [f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in pairs])


def _table(header: list[str], rows: list[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _figure(outcome: Outcome, k: int) -> str:
    chart = outcome.charts[k]
    caption = f"<figcaption>{escape(chart.caption)}</figcaption>"
    return f"<h2>{escape(chart.title)}</h2><figure>{figure(chart, k)}{caption}</figure>"

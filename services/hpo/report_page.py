"""The report as one page that stands alone: no script, no request, pictures inside. What users wrote is escaped, and
the page's own policy runs nothing that slipped through.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import orjson

from services.hpo.drawing import short
from shared.contracts.campaign_report import ReportData, ReportedTrial
from shared.contracts.campaign_views import ImportanceView, Sampled

#: name of a picture -> its heading, and what it shows
WORDS = {
    "history": ("History", "Every complete trial, and the best value so far."),
    "parallel": ("Parallel coordinates", "Each line is a trial, through its parameters to its value. Dark is good."),
    "importance": ("What matters", "How much of the variance of the value each parameter explains (fANOVA)."),
    "slice": ("One parameter at a time", "The value over each parameter. Later trials are darker."),
    "contour": ("Two parameters together", "The value over the two parameters that matter most. Dark is good."),
    "pareto": ("Front", "Trials that no other trial beats in every objective."),
    "rungs": ("Rungs", "How many trials came to each step at which they were judged, and how many were stopped there."),
    "timeline": ("Slots", "When each trial ran."),
}
_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f7f8; color: #22303a;
  font: 15px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 1.9rem; font-weight: 600; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; font-weight: 600; margin: 0 0 .1rem; }
p { margin: 0 0 .8rem; } .muted { color: #64757f; font-size: .9rem; }
section { background: #fff; border: 1px solid #e3e9ec; border-radius: 8px; padding: 1.3rem 1.5rem; margin-top: 1.2rem; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 2.4rem; margin-top: 1.3rem; }
.facts div { min-width: 6rem; } .facts b { display: block; font-size: 1.35rem; font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #eaeff1; white-space: nowrap; }
th { font-weight: 600; color: #64757f; }
pre { background: #f5f7f8; border-radius: 6px; padding: .9rem 1rem; overflow-x: auto; font-size: .83rem; margin: 0; }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; padding: .5rem 0; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_PROLOG = re.compile(rb"^.*?(?=<svg )", re.DOTALL)


def page(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    """The page; `pictures`: SVG by name, in the order of `WORDS`."""
    sections = [_best(data), *(_picture(name, pictures[name], data) for name in WORDS if name in pictures), _top(data)]
    title = f"{escape(data.name)} · campaign report"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{_headline(data)}\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _headline(data: ReportData) -> str:
    sought = ", ".join(f"{aim.goal} {aim.result}" for aim in data.aims)
    why = f": {data.reason}" if data.reason else ""
    state = "goes on" if data.finished_at is None else data.state
    facts: list[tuple[str, Any]] = [
        ("trials", sum(data.counts.values())),
        *((state, count) for state, count in sorted(data.counts.items())),
    ]
    if data.best is not None:
        facts.insert(0, ("best " + short(data.aims[0].result, 30), f"{data.best.values[0]:.5g}"))
    if data.test is not None:
        score = data.test.accuracy
        facts.insert(
            1, (f"test accuracy, {score.low:.3f} to {score.high:.3f}, {data.test.badge}", f"{score.value:.3f}")
        )
    told = "".join(f"<div><b>{escape(str(value))}</b>{escape(words)}</div>" for words, value in facts)
    return (
        f"<h1>{escape(data.name)}</h1>\n<p>{escape(f'{sought[:1].upper()}{sought[1:]} of {data.kind}')}</p>\n"
        f'<p class="muted">{escape(f"{state}{why}")}. Sampler {escape(data.sampler)}, pruner {escape(data.pruner)}. '
        f"Begun {_when(data.created_at)}, as of {_when(data.at)}.</p>\n"
        f'<div class="facts">{told}</div>'
    )


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _best(data: ReportData) -> str:
    if data.best is None:
        return _section("Best trial", "No trial that keeps to the limits is complete yet.", "")
    pairs = [[name, short(value, 60)] for name, value in data.best.params.items()]
    spec = orjson.dumps(data.best_spec or {}, option=orjson.OPT_INDENT_2).decode()
    values = ", ".join(f"{aim.result} {v:.6g}" for aim, v in zip(data.aims, data.best.values, strict=True))
    several = ", the best of the front by the first objective" if len(data.aims) > 1 else ""
    body = f"{_table(['parameter', 'value'], pairs)}<p></p><pre>{escape(spec)}</pre>"
    words = (
        f"Trial {data.best.number}{several}: {values}. Its spec, whole; best.yaml, beside this page, is taken by "
        "`faultline runs submit best.yaml` and runs it again as it is:"
    )
    return _section("Best trial", words, body)


def _picture(name: str, svg: bytes, data: ReportData) -> str:
    heading, words = WORDS[name]
    view = next((view for view in data.views if view.view == name), None)
    if isinstance(view, Sampled) and view.shown < view.total:
        words += f" {view.shown} of {view.total} are shown."
    if isinstance(view, ImportanceView) and any(each.conditional for each in view.objectives):
        words += " Pale: a parameter that some trials have, and its share among these; such shares add up to nothing."
    if isinstance(view, ImportanceView) and view.left_out:
        words += f" Not compared, because few trials have them: {', '.join(map(short, view.left_out[:12]))}."
    return _section(heading, words, _PROLOG.sub(b"", svg, count=1).decode())


def _top(data: ReportData) -> str:
    head = [
        "trial",
        *(aim.result for aim in data.aims),
        *(short(name.rpartition(".")[2], 20) for name in data.parameters[:12]),
    ]
    rows = [[str(trial.number), *_values(trial), *_params(trial, data.parameters[:12])] for trial in data.top]
    words = "By the first objective, of those that keep to the limits."
    return _section(f"Best {len(rows)}", f"{words} {_all_trials(data)}", _table(head, rows))


def _all_trials(data: ReportData) -> str:
    """Where every trial is."""
    if len(data.trials) == data.trials_total:
        return f"All {data.trials_total:,} trials are in trials.csv, beside this page."
    return (
        f"trials.csv, beside this page, holds {len(data.trials):,} of {data.trials_total:,} trials; all of them: "
        f"`faultline campaigns export {data.name} -o all.csv`, or GET /v1/campaigns/{data.name}/trials.csv."
    )


def _values(trial: ReportedTrial) -> Iterable[str]:
    return (f"{value:.6g}" for value in trial.values or [])


def _params(trial: ReportedTrial, names: Sequence[str]) -> Iterable[str]:
    return (short(trial.params[name], 24) if name in trial.params else "" for name in names)


def _section(heading: str, words: str, body: str) -> str:
    return f'<section>\n<h2>{escape(heading)}</h2>\n<p class="muted">{escape(words)}</p>\n{body}\n</section>\n'


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{escape(str(cell))}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'

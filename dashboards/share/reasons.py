"""Why it happened, how that is known, and what is not."""

from __future__ import annotations

import math

from dashboards.draw import blame, chain, comparison, graph_chart
from dashboards.draw import graph as draw
from dashboards.draw.tables import leaf_words
from dashboards.draw.text import duration, percent, plain
from dashboards.share import figures
from dashboards.share.blocks import (
    Block,
    Chart,
    Heading,
    Items,
    Paragraph,
    Section,
    Step,
    Steps,
    Table,
)
from dashboards.share.telling import Telling, cell
from dashboards.words import comparing
from dashboards.words import share as words
from dashboards.words.engine import LEAVES, MECHANISMS
from why504.diagnose.graph import roots_of

SENTENCES_SHOWN = 12
SMALL_SHARE = 0.01
"""Blame with less of the lost time is not told one by one."""


def cause(telling: Telling) -> Section:
    """Return the cause with its confidence, and the evidence for and against it."""
    say, finding = telling.say, telling.dossier.incident.finding
    known = MECHANISMS.get(finding.mechanism)
    how = say(known) if known else plain(finding.mechanism)
    told: list[Block] = []
    if finding.cause != "UNKNOWN":
        told.append(Paragraph(f"{plain(finding.cause, 40)}: {plain(finding.title)}", strong=True))
    facts = [say(words.HOW_IT_SPREAD, how=how)]
    if finding.site is not None:
        facts.append(say(words.LINE, site=plain(str(finding.site))))
    if finding.cause != "UNKNOWN":
        facts.append(say(words.CONFIDENCE, share=percent(finding.confidence)))
    told.append(Items(facts))
    for title, sentences in (
        (words.FOR, finding.evidence_for),
        (words.AGAINST, finding.evidence_against),
    ):
        lines = [plain(sentence) for sentence in sentences[:SENTENCES_SHOWN]]
        told += [Heading(say(title)), Items(lines or [say(words.NOTHING)])]
    return Section(say(words.CAUSE), told)


def chain_(telling: Telling) -> Section:
    """Return the way from the victims to the cause."""
    steps = [
        Step(step.what, step.lost, step.evidence)
        for step in chain.steps(telling.dossier.incident.finding, telling.say)
    ]
    return Section(telling.say(words.CHAIN), [Steps(steps)])


def graph(telling: Telling) -> list[Section]:
    """Return who waited for whom, most lost seconds first; nothing where no graph was made."""
    incident = telling.dossier.incident
    if incident.graph is None or not incident.graph.edges:
        return []
    say, total_s = telling.say, max(incident.blame_in_s, 1e-9)
    shown = draw.visible(incident.graph, total_s)
    names = {node.id: f"{cell(node.what)} ({draw.kind_words(node, say)})" for node in shown.nodes}
    rows = [
        [names[edge.source], names[edge.target], duration(edge.seconds)] for edge in shown.edges
    ]
    header = [say(word) for word in (words.WAITED, words.WAITED_FOR, words.LOST_SECONDS)]
    drawn = draw.Drawn(shown, roots_of(incident), "", total_s)
    told: list[Block] = [
        Paragraph(say(words.GRAPH_READ)),
        # Columns need more room than a sheet of paper has; rows fit anything.
        Chart("graph", say(words.GRAPH_ALT), lambda: graph_chart.narrow(drawn, figures.INK, say)),
        Table(header, telling.shown(rows)),
    ]
    return [Section(say(words.GRAPH), told)]


def blames(telling: Telling) -> Section:
    """Return where the lost seconds came to rest."""
    say, all_told = telling.say, telling.dossier.incident.blames
    told = [one for one in all_told if one.share >= SMALL_SHARE] or list(all_told[:1])
    rows = [
        [
            percent(one.share),
            duration(one.seconds),
            leaf_words(one.leaf),
            say(LEAVES[one.leaf.kind]) if one.leaf.kind in LEAVES else cell(one.leaf.kind),
        ]
        for one in told
    ]
    if len(told) < len(all_told):
        rows.append([say(words.LESS), *([""] * 3)])
    header = [say(word) for word in (words.SHARE, words.LOST_SECONDS, words.WHERE, words.KIND)]
    drawn = Chart("blame", say(words.BLAMES_ALT), lambda: blame.chart(told, figures.INK, say))
    return Section(say(words.BLAMES), [drawn, Table(header, telling.shown(rows))])


def compared(telling: Telling) -> list[Section]:
    """Return what differed before and during; nothing where nothing is known."""
    say = telling.say
    rows = comparison.changes(telling.dossier.compared, say)
    if not rows:
        return []
    drawn = Chart("compared", say(comparing.ALT), lambda: comparison.chart(rows, say, figures.INK))
    columns = comparison.table(rows, say)
    table = Table(list(columns), list(zip(*columns.values(), strict=True)))
    return [Section(say(comparing.TITLE), [Paragraph(say(comparing.READ)), drawn, table])]


def not_known(telling: Telling) -> Section:
    """Return what to bear in mind, and how much of the time nobody can account for."""
    say, incident = telling.say, telling.dossier.incident
    lines = [plain(caveat) for caveat in incident.caveats[:SENTENCES_SHOWN]]
    unknown = [one for one in incident.blames if one.leaf.kind == "unknown"]
    if unknown:
        share = math.fsum(one.share for one in unknown)
        lost = math.fsum(one.seconds for one in unknown)
        lines.insert(0, say(words.UNKNOWN_SHARE, share=percent(share), lost=duration(lost)))
    return Section(say(words.NOT_KNOWN), [Items(lines or [say(words.ALL_KNOWN)])])

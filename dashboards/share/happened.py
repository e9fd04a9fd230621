"""What happened: to whom, when, and to one request as an example."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.draw import bars, stack, tracks, waterfall
from dashboards.draw import timeline as draw
from dashboards.draw.ending import ending
from dashboards.draw.tables import leaf_words
from dashboards.draw.text import block, duration, plain
from dashboards.share import figures
from dashboards.share.blocks import Block, Chart, Code, Heading, Items, Paragraph, Section, Table
from dashboards.share.dossier import Example
from dashboards.share.telling import Telling, cell
from dashboards.words import request
from dashboards.words import share as words
from dashboards.words.timeline import MOMENTS
from why504.diagnose.timeline import Moment, Timeline
from why504.model import Victim, how_many

SENTENCE = 600
FRAMES_SHOWN = 12


def summary(telling: Telling) -> Section:
    """Return the sentence, and a warning where no cause is known."""
    finding = telling.dossier.incident.finding
    told: list[Block] = [Paragraph(plain(finding.sentence, SENTENCE), strong=True)]
    if finding.cause == "UNKNOWN":
        told.append(Paragraph(telling.say(words.NOT_FOUND_OUT)))
    return Section(telling.say(words.SUMMARY), told)


def impact(telling: Telling) -> Section:
    """Return who was hit, how often and how long."""
    say, incident = telling.say, telling.dossier.incident
    victims, people = incident.victims, incident.people
    unseen = how_many(victim for victim in victims if not victim.reached_app)
    length_s = (incident.window.end_ns - incident.window.start_ns) / 1e9
    figures_ = [
        (say(words.HIT), f"{incident.count:,}"),
        (say(words.ROUTES), f"{len(incident.routes):,}"),
        (say(words.PEOPLE), say(words.PEOPLE_NOT_TOLD) if people is None else f"{people:,}"),
        (say(words.UNSEEN), f"{unseen:,}"),
        (say(words.LASTED), duration(length_s)),
        (say(words.LOST), duration(incident.blame_in_s)),
    ]
    header = [say(word) for word in (words.ROUTE, words.REQUESTS, words.FIRST, words.LAST)]
    routes = [_route(telling, route) for route in incident.routes]
    return Section(
        say(words.IMPACT),
        [
            Table([say(words.FIGURE), say(words.VALUE)], figures_),
            Table(header, telling.shown(routes)),
        ],
    )


def _route(telling: Telling, route: str) -> list[str]:
    hit = [victim for victim in telling.dossier.incident.victims if victim.route == route]
    gave_up = [victim.gave_up_ns for victim in hit]
    times = (telling.at(min(gave_up)), telling.at(max(gave_up)))
    return [cell(route), f"{how_many(hit):,}", *times]


def timeline(telling: Telling) -> Section:
    """Return what happened when: a figure where there is one, and the same in words."""
    say = telling.say
    events = sorted(_events(telling))
    rows = [[telling.at(at_ns), cell(what)] for at_ns, what in events]
    told: list[Block] = [Table([say(words.WHEN), say(words.WHAT)], telling.shown(rows))]
    course = telling.dossier.timeline
    if course is not None:
        told.insert(0, _course(telling, course))
    return Section(say(words.TIMELINE), told)


def _course(telling: Telling, course: Timeline) -> Chart:
    incident, say, zone = telling.dossier.incident, telling.say, telling.zone
    return Chart(
        "timeline",
        say(words.TIMELINE_ALT),
        lambda: draw.chart(course, incident, say, figures.INK, zone=zone),
    )


def _events(telling: Telling) -> Iterator[tuple[int, str]]:
    say, incident = telling.say, telling.dossier.incident
    gave_up = [victim.gave_up_ns for victim in incident.victims]
    yield incident.window.start_ns, say(words.BEGAN)
    if gave_up:
        yield min(gave_up), say(words.GAVE_UP_FIRST)
        yield max(gave_up), say(words.GAVE_UP_LAST)
    course = telling.dossier.timeline
    if course is not None:
        yield from ((at.at_ns, _moment(telling, at)) for at in course.moments)
        yield from _peaks(telling, course)


def _moment(telling: Telling, moment: Moment) -> str:
    said = MOMENTS.get(moment.kind)
    return telling.say(said, what=plain(moment.what, 80)) if said else plain(moment.what, 80)


def _peaks(telling: Telling, course: Timeline) -> Iterator[tuple[int, str]]:
    """Yield when each series was highest, for the first time."""
    for one in course.series:
        most = max((value for value in one.values if value is not None), default=0.0)
        if most > 0:
            what = tracks.title(one, telling.say)
            value = tracks.value_words(one.kind, most)
            said = telling.say(words.PEAK, what=what, value=value)
            yield course.edge_ns(one.values.index(most)), said


def examples(telling: Telling) -> list[Section]:
    """Return one request on its clock, and one that fared otherwise."""
    titles = (words.EXAMPLE, words.ANOTHER)
    return [
        Section(telling.say(title), list(_example(telling, example, number)))
        for number, (title, example) in enumerate(
            zip(titles, telling.dossier.examples, strict=False)
        )
    ]


def _example(telling: Telling, example: Example, number: int) -> Iterator[Block]:
    victim, say = example.victim, telling.say
    yield Items(list(_about(telling, victim)))
    rows = bars.bars(victim, example.own, example.holder, say)
    gave_up_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    yield Chart(
        f"waterfall{'ab'[number]}",
        say(words.WATERFALL_ALT),
        lambda: waterfall.chart(rows, gave_up_s, ending(victim, say), figures.INK, say),
    )
    if example.stack:
        yield Heading(say(request.OWN_STACK))
        yield Code(_innermost(block(example.stack)))
    if example.holder_stack:
        yield Heading(say(request.HOLDERS_STACK))
        yield Paragraph(say(words.MARKED))
        # A call to outside has no line of its own; the cause that was named of it has.
        site = victim.leaf.site or telling.dossier.incident.finding.site
        yield Code(_innermost(stack.marked(example.holder_stack, site)))


def _innermost(frames: str) -> str:
    """Return the first lines of a stack, and those that are marked in any case."""
    lines = frames.split("\n")
    marked = max((n for n, line in enumerate(lines) if line.startswith(stack.MARK)), default=0)
    shown = max(FRAMES_SHOWN, marked + 2)
    return "\n".join([*lines[:shown], "…"] if len(lines) > shown else lines)


def _about(telling: Telling, victim: Victim) -> Iterator[str]:
    say = telling.say
    yield say(words.EXAMPLE_ROUTE, route=cell(victim.route))
    yield say(words.EXAMPLE_BEGAN, when=telling.at(victim.start_ns, date=True))
    yield ending(victim, say)
    yield say(request.BLOCKED_IN, what=plain(victim.blocked_in))
    yield say(request.HELD_BY, who=plain(victim.held_by) or say(request.NOBODY))
    yield say(request.COMES_DOWN_TO, leaf=leaf_words(victim.leaf))
    yield say(request.REACHED, answer=say(request.YES if victim.reached_app else request.NO))
    yield say(request.TRACE, trace=plain(victim.trace_id, 40))

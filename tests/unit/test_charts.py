"""The charts: their numbers come from recorded changes; plotly, SVG and text say the same."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import plotly.graph_objects as go
import pytest

from k8slab.graph.chart import Chart, Curves, Rows
from k8slab.graph.chart_lives import PHASES, lives_chart, phases_of
from k8slab.graph.chart_memory import MemorySample, memory_chart
from k8slab.graph.chart_owners import owners_of
from k8slab.graph.chart_plotly import plotly_chart
from k8slab.graph.chart_recoveries import percentile, recoveries_chart
from k8slab.graph.chart_replicas import owner_named, replicas_chart
from k8slab.graph.chart_requests import requests_chart
from k8slab.graph.chart_svg import svg_chart
from k8slab.graph.timeline_figure import timeline_figure
from k8slab.mirror.stopwatch import Recovery
from k8slab.mirror.timeline import Timeline
from k8slab.session.charts import ShownChart
from tests.unit.recorded_charts import charts, killed, memory, requests, rolled_out
from tests.unit.recorded_objects import START, Recording, kill, lesson

ALL = charts()
HOSTILE = "<img src=x onerror=alert(1)><b>x</b>$\\href{javascript:1}{y}$ %{x} ' \" `"


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.title)
def test_every_chart_can_be_drawn_and_says_what_it_is_made_from(chart: Chart) -> None:
    drawn = go.Figure(plotly_chart(chart))
    assert "Made from" in chart.source or "from the API" in chart.source
    assert " since " in chart.source
    assert "since" in drawn.layout.xaxis.title.text
    sizes = [drawn.layout.font.size, drawn.layout.xaxis.tickfont.size, drawn.layout.legend.font.size]
    assert min(sizes) >= 12
    picture = ElementTree.fromstring(svg_chart(chart))
    words = [each for each in picture.iter() if each.tag.endswith("text")]
    assert min(float(each.attrib["font-size"]) for each in words) >= 12
    assert chart.table and all(len(row) == len(chart.columns) for row in chart.table)
    assert all(row[0] in repr(ShownChart(chart)) for row in chart.table)
    assert all(row[0] in chart.description for row in chart.table)


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.title)
def test_colour_is_never_alone(chart: Chart) -> None:
    for panel in chart.panels:
        if isinstance(panel, Rows):
            assert len({bars.pattern for bars in panel.bars}) == len(panel.bars)
        else:
            assert len({curve.pattern if panel.stacked else curve.dash for curve in panel.curves}) == len(
                panel.curves
            )


def test_lives_are_cut_into_their_phases() -> None:
    timeline = Timeline()
    recording = lesson(timeline.record)
    kill(recording)
    recording.wait(1)
    recording.drop("pod-web-a")
    life = timeline.life("pod-web-a")
    assert life is not None
    spans = [
        (name, round(start - START, 2), round(end - START, 2)) for name, start, end in phases_of(life, 0)
    ]
    assert spans == [
        ("starting", 0.01, 0.21),
        ("not ready", 0.21, 0.61),
        ("ready", 0.61, 61.83),
        ("terminating", 61.83, 63.57),
    ]
    drawn = timeline_figure(timeline, "lesson")
    names = [trace.name for trace in drawn.data]
    assert names == [*PHASES, "container restarted", "replaced by"]
    labels = ["<b>ReplicaSet web</b>", "web-a", "web-b", "web-c", "web-x"]
    assert list(drawn.layout.yaxis.ticktext) == labels
    terminating = drawn.data[names.index("terminating")]
    assert list(terminating.y) == [1] and terminating.x[0] == pytest.approx(1.74)


def test_lives_begin_with_the_first_act_and_link_victims_to_heirs() -> None:
    lives = ALL[0]
    panel = lives.panels[0]
    assert isinstance(panel, Rows)
    assert lives.end == pytest.approx(5.74), "seconds since the kill"
    assert min(span.start for bars in panel.bars for span in bars.spans) == 0
    assert [(start, goal) for start, _, goal, _ in panel.links] == [("pod-web-a", "pod-web-x")]
    assert [mark.row for mark in panel.marks[0].marks] == ["pod-web-b"]
    assert [row[-1] for row in lives.table] == ["web-x", "", "", ""]
    assert [row[3] for row in lives.table][:2] == ["earlier", "earlier"]


def test_two_pods_of_one_name_have_two_rows_and_of_many_the_last_are_shown() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    for number in range(50):
        recording.pod("db-0", uid=f"u{number}")
        recording.wait(1)
        recording.drop(f"u{number}")
    chart = lives_chart(timeline.lives(), recording.now)
    panel = chart.panels[0]
    assert isinstance(panel, Rows)
    assert [row.key for row in panel.rows] == [f"u{number}" for number in range(10, 50)]
    assert "The last 40 of 50 Pods" in chart.source


def test_the_surge_of_a_rollout_is_visible() -> None:
    """Three where two are wanted, while the new ReplicaSet grows and the old one shrinks."""
    chart = ALL[1]
    above, below = chart.panels
    assert isinstance(above, Curves) and isinstance(below, Curves)
    numbers = {curve.name: [y for _, y in curve.points] for curve in above.curves}
    assert set(numbers["wanted"]) == {2.0}
    assert max(numbers["there"]) == 3 and numbers["there"][-1] == 2
    assert max(numbers["ready"]) <= 3 and numbers["ready"][-1] == 2
    assert [curve.name for curve in below.curves] == ["revision 1: web-1", "revision 2: web-2"]
    assert below.stacked and below.top == 3
    assert [curve.points[-1][1] for curve in below.curves] == [0, 2]
    assert chart.columns[-2:] == ("REVISION 1", "REVISION 2")
    assert any(row[2] == "3" and row[-2:] == ("2", "1") for row in chart.table)


def test_replicas_of_a_replicaset_are_steps_to_the_end() -> None:
    timeline, recording = killed()
    web = owner_named(owners_of(timeline.changes()), "ReplicaSet", "web")
    assert web is not None
    chart = replicas_chart(web, timeline.replicas(web.uid), recording.now, since=START + 60)
    panel = chart.panels[0]
    assert isinstance(panel, Curves)
    wants, has, ready = panel.curves
    assert has.points[0][1] == 2 and has.points[-1][1] == 3
    assert {y for _, y in wants.points} == {3} and ready.points[-1][1] == 3


def test_an_owner_is_found_by_its_newest_namesake() -> None:
    timeline, _ = rolled_out()
    owners = owners_of(timeline.changes())
    found = owner_named(owners, "", "web-2")
    assert found is not None and found.words == "ReplicaSet web-2, revision 2"
    assert owner_named(owners, "StatefulSet", "web") is None


def test_requests_show_who_answered_when_and_what_failed() -> None:
    rates, pods = requests().panels
    assert isinstance(rates, Curves) and isinstance(pods, Rows)
    answered, failed = rates.curves
    assert answered.points[5] == (5, 15) and failed.points[5] == (5, 5)
    assert answered.points[-1] == (10, 0)
    assert [row.label for row in pods.rows] == ["web-a: 50", "web-b: 145", "failed: 5"]
    assert [(span.row, span.start, span.stop) for span in pods.bars[0].spans] == [
        ("web-a", 0, 5),
        ("web-b", 0, 10),
    ]
    assert requests().table[-1] == ("failed: HTTP 503", "5")


def test_recoveries_are_honest_about_how_many_there_are() -> None:
    timeline, _ = killed()
    one = timeline.recoveries("lesson")
    assert "one is no distribution" in recoveries_chart(one, "r", START).source
    few = recoveries_chart(_varied(one[0], 3), "r", START)
    assert "of 3 recoveries; a p95 needs 20 or more" in few.source
    many = recoveries_chart(_varied(one[0], 40), "r", START)
    assert "p50 20.00 s" in many.source and "of 40 recoveries; p95 38.00 s" in many.source
    panel = many.panels[0]
    assert isinstance(panel, Rows)
    assert [words for _, words in panel.lines] == ["p50 20.00 s", "p95 38.00 s"]
    assert len(panel.rows) == 21 and len(panel.marks[0].marks) == len(many.table) == 40
    open_one = replace(one[0], healed=None)
    assert "1 not healed yet" in recoveries_chart([*one, open_one], "r", START).source


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert [percentile([3, 1, 2], share) for share in (0, 0.5, 0.95)] == [1, 2, 3]


def test_memory_says_what_cannot_be_had() -> None:
    samples = [MemorySample(START, {}, {"worker-1": 30.0})]
    chart = memory_chart(samples, "Memory", "kind has no processes in hand.")
    assert "kind has no processes in hand." in chart.source and "One sample" in chart.source
    assert [panel.title for panel in chart.panels if isinstance(panel, Curves)] == ["nodes, MB"]
    assert memory().table[0] == ("control plane", "etcd", "58.0", "50.0", "58.0")


def test_where_there_is_nothing_a_sentence_says_what_to_do() -> None:
    timeline = Timeline()
    owner = owner_named(owners_of(rolled_out()[0].changes()), "Deployment", "web")
    assert owner is not None
    empty = [
        lives_chart([], START),
        replicas_chart(owner, timeline.replicas("x"), START),
        requests_chart("svc/web", "svc/web: 0 requests sent.", [], {}, {}),
        recoveries_chart([], "r", START),
        memory_chart([], "Memory"),
    ]
    for chart in empty:
        assert chart.empty and not chart.panels
        assert chart.empty in repr(ShownChart(chart))


def test_hostile_names_are_inert() -> None:
    for chart in _hostile():
        text = json.dumps(plotly_chart(chart), ensure_ascii=False)
        assert "<img" not in text and "$\\" not in text and "%{" not in text and "<b>x" not in text
        picture = svg_chart(chart)
        assert "<img" not in picture and ElementTree.fromstring(picture) is not None
        shown = ShownChart(chart)._repr_html_()
        assert "<img" not in shown and "<b>x" not in shown


def _hostile() -> list[Chart]:
    timeline, recording = killed()
    lives = [replace(life, name=HOSTILE, node=HOSTILE) for life in timeline.lives()]
    recoveries = [
        replace(
            each,
            victim=replace(each.victim, name=HOSTILE),
            heir=each.heir and replace(each.heir, name=HOSTILE),
        )
        for each in timeline.recoveries()
    ]
    owners = {uid: replace(each, name=HOSTILE) for uid, each in owners_of(timeline.changes()).items()}
    web = next(iter(owners.values()))
    return [
        lives_chart(lives, recording.now, HOSTILE, owners, recoveries),
        replicas_chart(web, timeline.replicas(web.uid), recording.now, [(web, timeline.replicas(web.uid))]),
        requests_chart(
            HOSTILE, HOSTILE, [(int(START), 1, 1)], {HOSTILE: 1}, {HOSTILE: 1}, [(int(START), {HOSTILE: 1})]
        ),
        recoveries_chart(recoveries, HOSTILE, START),
        memory_chart([MemorySample(START, {HOSTILE: 1.0}, {HOSTILE: 1.0})], HOSTILE, HOSTILE),
    ]


def _varied(one: Recovery, count: int) -> list[Recovery]:
    return [
        replace(one, victim=replace(one.victim, uid=f"v{number}"), healed=float(number))
        for number in range(1, count + 1)
    ]

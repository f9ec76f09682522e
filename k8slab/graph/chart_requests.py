"""Where requests went, as a chart: answered and failed a second, and which Pod answered when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from k8slab.graph.chart import Bars, Chart, Curve, Curves, Mark, Marks, Row, Rows, Span, clock, seconds_since
from k8slab.graph.looks import GREEN, VERMILION

PODS_SHOWN = 24
PAUSE = 2
"""Seconds without an answer that a bar bridges: who is asked is chance."""

FAILED = "failed"


def requests_chart(
    target: str,
    sentence: str,
    seconds: Sequence[tuple[int, int, int]],
    by_pod: Mapping[str, int],
    failures: Mapping[str, int],
    by_second: Sequence[tuple[int, Mapping[str, int]]] = (),
    since: float = 0.0,
) -> Chart:
    """Requests over time, and by the Pod that answered.

    Args:
        target: such as `svc/web`.
        sentence: the figures in words.
        seconds: epoch second, answered, failed.
        by_pod: answers by Pod, all that were counted.
        failures: failed requests by reason.
        by_second: epoch second, answers by Pod.
        since: when the first request was sent, in epoch seconds; the first second kept if 0.
    """
    title = f"Requests to {target}"
    source = "Made from the answers to this notebook's own requests, sent through the API server"
    if not seconds:
        return Chart(title, f"{source}.", empty=f"{sentence} No answer yet: run the cell again in a second.")
    start, last = seconds[0][0], seconds[-1][0] + 1
    end = float(last - start)
    counts = {second: (answered, failed) for second, answered, failed in seconds}
    axis = range(start, last)
    answered = (*((float(at - start), float(counts.get(at, (0, 0))[0])) for at in axis), (end, 0.0))
    failed = (*((float(at - start), float(counts.get(at, (0, 0))[1])) for at in axis), (end, 0.0))
    curves = Curves(
        "requests a second",
        (Curve("answered", answered, GREEN), Curve(FAILED, failed, VERMILION, "dot")),
    )
    pods = sorted(by_pod, key=lambda pod: (_first(pod, by_second, last), pod))[:PODS_SHOWN]
    rows = [Row(pod, f"{pod}: {by_pod[pod]}") for pod in pods]
    total = sum(failures.values())
    rows.append(Row("", f"{FAILED}: {total}"))
    spans = tuple(span for pod in pods for span in _spans(pod, by_second, start))
    misses = tuple(
        Mark("", at - start + 0.5, f"{bad} failed in second {at - start}") for at, _, bad in seconds if bad
    )
    panel = Rows(
        "answered by",
        tuple(rows),
        (Bars("this Pod answered", GREEN, "", spans),),
        (Marks("requests failed", "x", VERMILION, misses),),
    )
    kept = f"; over time the last {len(axis)} s" if since and start - since > 2 else ""
    source = f"{sentence.rstrip('.')}. {source} since {clock(since or start)}{kept}."
    if len(by_pod) > PODS_SHOWN:
        source += f" {PODS_SHOWN} of {len(by_pod)} Pods are drawn."
    table = [(pod, str(count)) for pod, count in by_pod.items()]
    table += [(f"{FAILED}: {reason}", str(count)) for reason, count in failures.items()]
    if not total:
        table.append((FAILED, "0"))
    return Chart(
        title, source, seconds_since(start), end, (curves, panel), ("ANSWERED BY", "REQUESTS"), tuple(table)
    )


def _first(pod: str, by_second: Sequence[tuple[int, Mapping[str, int]]], last: int) -> int:
    return next((second for second, pods in by_second if pod in pods), last)


def _spans(pod: str, by_second: Sequence[tuple[int, Mapping[str, int]]], start: int) -> list[Span]:
    """When a Pod answered: seconds that follow one another are one bar."""
    found: list[tuple[int, int, int]] = []
    for second, pods in by_second:
        count = pods.get(pod, 0)
        if not count:
            continue
        if found and second - found[-1][1] <= PAUSE:
            found[-1] = (found[-1][0], second + 1, found[-1][2] + count)
        else:
            found.append((second, second + 1, count))
    return [
        Span(
            pod,
            float(begin - start),
            float(stop - start),
            f"{pod}: {count} answers from second {begin - start} to {stop - start}",
        )
        for begin, stop, count in found
    ]

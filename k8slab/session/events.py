"""Events as a table, as `kubectl events` prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8slab.answers import Table
from k8slab.mirror.changes import epoch
from k8slab.session.pods import age_of

COLUMNS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")


def events_table(events: Iterable[dict[str, Any]]) -> Table:
    """Events, oldest first.

    Args:
        events: the raw objects.
    """
    rows = tuple(
        (
            age_of(_moment(each)),
            str(each.get("type", "")),
            str(each.get("reason", "")),
            f"{each['involvedObject'].get('kind', '').lower()}/{each['involvedObject'].get('name', '')}",
            str(each.get("message", "")),
        )
        for each in sorted(events, key=_moment)
    )
    return Table(COLUMNS, rows, empty="No events.")


def _moment(event: dict[str, Any]) -> float:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event.get("firstTimestamp"))
    return next((epoch(each) or 0.0 for each in times if each), 0.0)

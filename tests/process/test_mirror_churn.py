"""The master property of the mirror: after any churn and any fault it equals the cluster."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from k8slab.mirror.changes import Change
from tests.process.fake_api_server import FakeApiServer
from tests.process.watched_mirror import Watched, until

SEEDS = int(os.environ.get("K8SLAB_MIRROR_SEEDS", "20"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_any_churn_and_any_fault_the_mirror_equals_the_cluster(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    faults = ["", "", "eof", "500", "429", "410", "in-band-410", "in-band-500", "reset", "truncated"]
    faults += ["duplicate", "split", "unknown", "silent", "mute", "page-410", "401"]
    with FakeApiServer() as server:
        server.page = chance.choice([0, 3])
        with Watched(server, tmp_path, read_timeout=0.3) as watched:
            serial = 0
            for _ in range(chance.randint(40, 80)):
                name = f"web-{chance.randrange(8)}"
                match chance.randrange(8):
                    case 0 | 1:
                        serial += 1
                        server.put("pods", name, f"{seed}-{serial}")
                    case 2 | 3 | 4:
                        with server.changed:
                            known = server.objects.get("pods", {}).get(name)
                        serial += 1  # a uid never comes back
                        uid = known["metadata"]["uid"] if known else f"{seed}-{serial}"
                        server.put("pods", name, uid, status={"step": serial})
                    case 5:
                        server.delete("pods", name)
                    case 6:
                        server.faults.append(chance.choice(faults))
                        if chance.random() < 0.5:
                            server.cut()
                    case 7 if chance.random() < 0.3:
                        server.compact()
                if chance.random() < 0.3:
                    time.sleep(chance.random() / 100)
            server.faults.clear()
            until(watched.settled, f"the mirror to equal the cluster with seed {seed}", 10)
            until(lambda: _told(watched.changes) == watched.versions(), "the listeners to know the same", 10)
            changes = list(watched.changes)
    _consistent(changes)


def _told(changes: list[Change]) -> dict[str, str]:
    present: dict[str, str] = {}
    for change in list(changes):
        if change.after is None:
            present.pop(change.uid, None)
        else:
            present[change.uid] = change.after["metadata"]["resourceVersion"]
    return present


def _consistent(changes: list[Change]) -> None:
    """Each change begins where the one before it ended."""
    present: dict[str, object] = {}
    for change in changes:
        known = present.get(change.uid)
        assert (known is None) == (change.verb == "added"), json.dumps(change.verb)
        if change.verb == "modified":
            assert change.before is known
        present[change.uid] = change.after

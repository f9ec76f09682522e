"""The master property of the mirror: after any churn and any fault it equals the cluster."""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from k8slab.mirror.changes import Change
from tests.process.fake_api_server import FakeApiServer
from tests.process.watched_mirror import Watched, until

SEEDS = int(os.environ.get("K8SLAB_MIRROR_SEEDS", "200"))
"""How many seeds: about 0.04 s each."""

AT_ONCE = 12
"""Seeds that run at the same time: they mostly wait."""

FAULTS = ["", "", "eof", "500", "429", "410", "in-band-410", "in-band-500", "reset", "truncated"]
FAULTS += ["duplicate", "split", "unknown", "silent", "mute", "page-410", "401"]


def test_after_any_churn_and_any_fault_the_mirror_equals_the_cluster(tmp_path: Path) -> None:
    failed: dict[int, BaseException] = {}
    with ThreadPoolExecutor(AT_ONCE, "churn") as pool:
        runs = {seed: pool.submit(churn, seed, tmp_path) for seed in range(SEEDS)}
        for seed, run in runs.items():
            error = run.exception()
            if error is not None:
                failed[seed] = error
    assert not failed, f"of {SEEDS} seeds {len(failed)} failed: {failed}"


def churn(seed: int, folder: Path) -> None:
    """One seed: objects change, the server fails, and when both are over the mirror equals the server."""
    chance = random.Random(seed)
    folder = folder / str(seed)
    folder.mkdir()
    with FakeApiServer() as server:
        server.page = chance.choice([0, 3])
        with Watched(server, folder, read_timeout=0.3) as watched:
            for serial in range(chance.randint(40, 80)):
                _step(server, chance, f"{seed}-{serial}")
                if chance.random() < 0.3:
                    time.sleep(chance.random() / 100)
            server.faults.clear()
            server.thaw()
            until(watched.settled, f"the mirror to equal the cluster with seed {seed}")
            until(lambda: _told(watched.changes) == watched.versions(), "the listeners to know the same")
            changes = list(watched.changes)
    _consistent(changes)


def _step(server: FakeApiServer, chance: random.Random, uid: str) -> None:
    """Something happens; a new object gets the uid, which never comes back."""
    name = f"web-{chance.randrange(8)}"
    match chance.randrange(8):
        case 0 | 1:
            server.put("pods", name, uid)
        case 2 | 3 | 4:
            with server.changed:
                known = server.objects.get("pods", {}).get(name)
            server.put("pods", name, known["metadata"]["uid"] if known else uid, status={"step": uid})
        case 5:
            server.delete("pods", name)
        case 6:
            server.faults.append(chance.choice(FAULTS))
            if chance.random() < 0.5:
                server.cut()
        case 7:
            match chance.randrange(20):
                case 0 | 1 | 2 | 3 | 4 | 5:
                    server.compact()
                case 6:
                    server.freeze()
                case 7 | 8:
                    server.thaw()
                case 9:
                    # Another cluster at the same address, older or younger; its server is another process.
                    server.become(f"cluster-{uid}", chance.choice([60, 100_000]))
                    server.cut()


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

"""Having an image: policies, pulls and what is said of them, against a catalogue of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k8slab.node.images import pulls as image_pulls
from k8slab.node.images import store as image_store
from k8slab.node.images.pulls import ImagePulls, NoImageYet
from k8slab.node.images.resolution import ImagePlan
from k8slab.node.images.store import ImageStore
from k8slab.node.node_context import RestartClock
from k8slab.node.pods.pod_spec import Container

CATALOGUE = """images:
- {match: [quick], command: [sh]}
- {match: [slow], command: [sh], pull_seconds: 5}
- {match: [sick], command: [sh], pull_error: no route to host}
- {match: [server], command: [sh], stand_in: "Stand-in: a shell.", ignores: [/etc/server]}
"""


class Clock:
    """The time of `image_pulls`; it goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


class Told:
    """What a container's Events say."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, kind: str, reason: str, message: str) -> None:
        self.lines.append((kind, reason, message))

    def new(self) -> list[tuple[str, str, str]]:
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(image_pulls, "time", made)
    return made


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> ImageStore:
    (tmp_path / "images.yaml").write_text(CATALOGUE)
    monkeypatch.setenv("K8SLAB_IMAGES", str(tmp_path / "images.yaml"))
    return ImageStore(tmp_path / "node" / "images.json", "plain")


def container(image: str, policy: str = "IfNotPresent", **more: object) -> Container:
    return {"name": "c", "image": image, "imagePullPolicy": policy, **more}


def pulls(store: ImageStore) -> ImagePulls:
    return ImagePulls(store, RestartClock())


def test_the_first_use_on_a_node_is_a_pull_and_the_next_finds_it(store: ImageStore) -> None:
    """pkg/kubelet/images/image_manager.go:205 and 353 of Kubernetes 1.36."""
    told, changes = Told(), []
    store.changed = lambda: changes.append(1)
    plan = pulls(store).have(container("quick:1"), "plain", told)
    assert isinstance(plan, ImagePlan)
    size = f"Image size: {plan.size} bytes."
    assert told.new() == [
        ("Normal", "Pulling", 'Pulling image "quick:1"'),
        ("Normal", "Pulled", f'Successfully pulled image "quick:1" in 0s (0s including waiting). {size}'),
    ]
    assert isinstance(pulls(store).have(container("quick:1"), "plain", told), ImagePlan)
    present = 'Container image "quick:1" already present on machine and can be accessed by the pod'
    assert told.new() == [("Normal", "Pulled", present)]
    assert isinstance(pulls(store).have(container("quick:1", "Never"), "plain", told), ImagePlan)
    assert told.new() == [("Normal", "Pulled", present)]
    assert changes == [1]
    assert isinstance(pulls(store).have(container("quick:1", "Always"), "plain", told), ImagePlan)
    assert [reason for _, reason, _ in told.new()] == ["Pulling", "Pulled"]


def test_what_a_node_has_outlives_its_agent_and_is_in_its_status(store: ImageStore, tmp_path: Path) -> None:
    plan = pulls(store).have(container("quick:1"), "plain", Told())
    assert isinstance(plan, ImagePlan)
    again = ImageStore(tmp_path / "node" / "images.json", "plain")
    assert again.has("docker.io/library/quick:1") and not again.has("docker.io/library/quick:2")
    assert again.has("docker.io/k8slab/demo:1"), "the kit's own is on every node from its start"
    wanted = {"names": [plan.image_id, "docker.io/library/quick:1"], "sizeBytes": plan.size}
    assert wanted in again.status()
    sizes = [each["sizeBytes"] for each in again.status()]
    assert sizes == sorted(sizes, reverse=True)
    assert (tmp_path / "node" / "images.json").stat().st_mode & 0o077 == 0
    (tmp_path / "node" / "images.json").write_text("{")
    assert not ImageStore(tmp_path / "node" / "images.json", "plain").has("docker.io/library/quick:1")


def test_an_image_that_must_not_be_pulled_is_refused(store: ImageStore) -> None:
    """pkg/kubelet/images/image_manager.go:158."""
    told = Told()
    found = pulls(store).have(container("quick:2", "Never"), "plain", told)
    assert isinstance(found, NoImageYet) and found.waiting is not None
    text = 'Container image "quick:2" is not present with pull policy of Never'
    assert (found.waiting.reason, found.waiting.message) == ("ErrImageNeverPull", text)
    assert told.new() == [
        ("Warning", "ErrImageNeverPull", text),
        ("Warning", "Failed", "Error: ErrImageNeverPull"),
    ]


def test_a_slow_pull_takes_its_time_says_that_it_is_played_and_holds_up_the_next(
    store: ImageStore, clock: Clock
) -> None:
    told, first, second = Told(), pulls(store), pulls(store)
    found = first.have(container("slow:1"), "plain", told)
    assert found == NoImageYet(None, 1005.0)
    played = 'The pull of "slow:1" is made to take 5s by the image catalogue; nothing is pulled.'
    assert told.new() == [("Normal", "Pulling", 'Pulling image "slow:1"'), ("Normal", "PlayedPull", played)]
    clock.now += 1
    assert second.have(container("slow:2"), "plain", Told()) == NoImageYet(None, 1010.0)
    assert first.have(container("slow:1"), "plain", told) == found and told.new() == []
    clock.now = 1005.1
    plan = first.have(container("slow:1"), "plain", told)
    assert isinstance(plan, ImagePlan)
    size = f"Image size: {plan.size} bytes."
    pulled = f'Successfully pulled image "slow:1" in 5s (5s including waiting). {size}'
    assert told.new() == [("Normal", "Pulled", pulled)]
    clock.now = 1010.1
    assert isinstance(second.have(container("slow:2"), "plain", told), ImagePlan)
    pulled = f'Successfully pulled image "slow:2" in 5s (9s including waiting). {size}'
    assert told.new() == [("Normal", "Pulled", pulled)]


def test_a_pull_that_fails_is_tried_again_after_the_kubelet_s_pauses(store: ImageStore, clock: Clock) -> None:
    """pkg/kubelet/images/image_manager.go:305-345: then `ImagePullBackOff`, with what came before."""
    told, mine = Told(), pulls(store)
    failed = mine.have(container("sick"), "plain", told)
    assert isinstance(failed, NoImageYet) and failed.waiting is not None
    assert failed.waiting.reason == "ErrImagePull" and "no route to host" in failed.waiting.message
    said = told.new()
    assert [line[1] for line in said] == ["Pulling", "Failed", "Failed"]
    assert said[1][2].startswith('Failed to pull image "sick": no route to host (Played:')
    assert said[2][2] == "Error: ErrImagePull"
    clock.now += 1
    assert mine.have(container("sick"), "plain", told) == failed and told.new() == [], (
        "woken for another reason"
    )
    clock.now = failed.until
    waits = mine.have(container("sick"), "plain", told)
    assert isinstance(waits, NoImageYet) and waits.waiting is not None
    assert waits.waiting.reason == "ImagePullBackOff"
    assert waits.waiting.message == f'Back-off pulling image "sick": ErrImagePull: {failed.waiting.message}'
    assert told.new() == [
        ("Normal", "BackOff", 'Back-off pulling image "sick"'),
        ("Warning", "Failed", "Error: ImagePullBackOff"),
    ]
    assert waits.until == 1010.0
    clock.now = waits.until
    mine.have(container("sick"), "plain", told)
    assert [line[1] for line in told.new()] == ["Pulling", "Failed", "Failed"]
    # Another image in its place is tried at once.
    assert isinstance(mine.have(container("quick"), "plain", told), ImagePlan)


def test_a_name_that_does_not_parse_is_an_inspection_that_failed(store: ImageStore) -> None:
    """pkg/kubelet/images/image_manager.go:177."""
    told = Told()
    found = pulls(store).have(container("Quick"), "plain", told)
    assert isinstance(found, NoImageYet) and found.waiting is not None
    assert found.waiting.reason == "InvalidImageName"
    assert found.waiting.message.startswith('Failed to apply default image tag "Quick": couldn\'t parse')
    assert [line[1] for line in told.new()] == ["InspectFailed", "Failed"]


def test_a_stand_in_says_so_and_what_it_does_not_read(store: ImageStore) -> None:
    told = Told()
    mounts = [{"name": "v", "mountPath": path} for path in ("/etc/server/conf.d/", "/etc/servers", "/srv")]
    assert isinstance(pulls(store).have(container("server", volumeMounts=mounts), "plain", told), ImagePlan)
    assert told.new()[2:] == [
        ("Normal", "StandIn", "Stand-in: a shell."),
        ("Warning", "StandIn", "The stand-in does not read what the Pod mounts at /etc/server/conf.d."),
    ]


def test_the_store_is_small_json(store: ImageStore, tmp_path: Path) -> None:
    pulls(store).have(container("quick:1"), "plain", Told())
    kept = json.loads((tmp_path / "node" / "images.json").read_text())
    assert set(kept["docker.io/library/quick:1"]) == {"id", "size"}
    assert image_store.MOST_SHOWN == 50

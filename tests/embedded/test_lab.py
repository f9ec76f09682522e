"""The lab on a real cluster: what a learner types, what is printed, and what happens in the cluster."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab import Lab
from k8slab.cluster.api import KINDS
from k8slab.errors import ClusterStateError, CommandError, GuardError, LabError, ManifestError
from k8slab.mirror.stopwatch import Recovery
from k8slab.session.chapter_files import manifests_folder
from k8slab.session.pods import PodRow
from tests.embedded.conftest import RunningCluster, until
from tests.promptness import within

CHAPTER = "03-replicasets"
HELD = 2.0
"""Seconds no call but open, reset and close may hold the kernel."""


@pytest.fixture(scope="module")
def opened(cluster: RunningCluster) -> Iterator[Lab]:
    lab = Lab.open(CHAPTER, backend="embedded", name=cluster.cluster.name)
    yield lab
    lab.close()


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    """The chapter at its start."""
    yield opened
    opened.reset()


@pytest.fixture
def web(lab: Lab) -> Lab:
    """Three ready Pods of web."""
    lab.apply("web.yaml").wait(30)
    until_ready(lab, "web", 3)
    return lab


@pytest.fixture
def served(web: Lab) -> Lab:
    """Web, with a Service that answers: that Pods are ready does not say that the network has heard of it."""
    until(lambda: answer(web), "an answer of the Service")
    return web


def answer(lab: Lab) -> str:
    """The Pod that answers at the URL of web."""
    url = repr(lab.url("svc/web")).split()[0]
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(json.load(response)["pod"])


def until_ready(lab: Lab, app: str, count: int) -> list[PodRow]:
    def ready() -> list[PodRow]:
        rows = [row for row in lab.pods(app) if row.ready == "1/1" and not row.leaving]
        return rows if len(rows) == count else []

    return until(ready, f"{count} ready Pods of {app}")


def names(lab: Lab) -> set[str]:
    return {row.name for row in lab.pods()}


def test_the_lab_says_where_it_is_and_what_is_played(lab: Lab) -> None:
    text = repr(lab)
    assert "03 · ReplicaSets" in text
    assert "3 nodes" in text
    assert "kube-proxy" in text
    assert ("kube-proxy", "played") in [row[:2] for row in lab.reality()]
    assert ("control plane", "real") in [row[:2] for row in lab.reality()]


def test_opening_again_is_the_same_lab_and_no_new_thread(lab: Lab, cluster: RunningCluster) -> None:
    before = threading.active_count()
    again = Lab.open(CHAPTER, backend="embedded", name=cluster.cluster.name)
    assert again is lab
    assert threading.active_count() == before
    with pytest.raises(LabError, match="no backend 'nope'"):
        Lab.open(CHAPTER, backend="nope", name=cluster.cluster.name)
    with pytest.raises(ClusterStateError, match="open on the backend embedded"):
        Lab.open(CHAPTER, backend="kind", name=cluster.cluster.name)


def test_apply_prints_the_line_and_what_kubectl_prints(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    first = lab.apply("web.yaml")
    assert first.wait(30)
    assert capsys.readouterr().out.startswith("$ kubectl apply -f ")
    assert first.text.splitlines() == ["service/web created", "replicaset.apps/web created"]
    second = lab.apply("web.yaml")
    assert second.wait(30)
    assert second.text.splitlines() == ["service/web unchanged", "replicaset.apps/web unchanged"]


def test_what_the_api_server_refuses_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    good = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "good"}}
    bad = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "bad"},
        "spec": {"replicas": -1},
    }
    file = tmp_path / "two.yaml"
    file.write_text(f"{json.dumps(good)}\n---\n{json.dumps(bad)}\n")
    with pytest.raises(CommandError) as caught:
        lab.apply(str(file)).wait(30)
    assert "ReplicaSet" in str(caught.value)
    assert caught.value.cure
    assert "created" not in str(caught.value)
    assert "good" not in repr(lab.kubectl("get configmaps"))


def test_a_manifest_that_does_not_parse_or_is_not_there_is_one_sentence(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("kind: Pod: x\n")
    with pytest.raises(ManifestError, match="line 1"):
        lab.apply(str(file))
    there = ", ".join(sorted(each.name for each in manifests_folder("03-replicasets").glob("*.yaml")))
    assert "tea.yaml" in there
    with pytest.raises(ManifestError, match=re.escape(there)):
        lab.apply("nope.yaml")


def test_a_kill_is_seen_timed_and_replaced(web: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    victim = web.pods("web")[0]
    capsys.readouterr()
    answer = web.kill(victim)
    assert capsys.readouterr().out == f"$ kubectl delete pod {victim.name}\n"
    assert victim.name in repr(answer)
    watch = web.stopwatch()

    def healed() -> Recovery | None:
        found = watch.recovery
        return found if found is not None and found.healed is not None else None

    phases = ["replacement created", "scheduled", "process started", "ready", "in endpoints"]
    recovery = until(healed, "healing", 120)
    assert recovery is not None
    assert recovery.victim.uid == victim.uid
    assert recovery.heir is not None
    assert recovery.heir.uid in {row.uid for row in until_ready(web, "web", 3)}
    # Pods and endpoints are told by two watches: it may be known to be in endpoints before it is to be ready.
    until(lambda: list(watch.seconds) == phases, "every phase")
    seconds = watch.seconds
    assert seconds["process started"] <= seconds["ready"]
    assert victim.name in repr(watch)


def test_a_kill_never_hits_another_pod_of_the_same_name(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    container = {"name": "demo", "image": "k8slab/demo:1"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lone"},
        "spec": {"containers": [container]},
    }
    file.write_text(json.dumps(pod))
    lab.apply(str(file)).wait(30)
    old = lab.pods()[0]
    lab.kill(old, force=True)
    until(lambda: not names(lab), "the first one to be gone")
    lab.apply(str(file)).wait(30)
    new = lab.pods()[0]
    assert (new.name, new.uid != old.uid) == (old.name, True)
    with pytest.raises(LabError, match="another Pod"):
        lab.kill(old)
    with pytest.raises(LabError, match="gone"):
        lab.crash(old)
    row = lab.pods()[0]
    assert (row.uid, row.leaving) == (new.uid, False)


def test_a_pod_that_does_not_exist_is_one_sentence_with_those_that_do(web: Lab) -> None:
    before = names(web)
    for wrong in ("nope", "pod/nope", "svc/web", "pod/"):
        with pytest.raises(LabError) as caught:
            web.kill(wrong)
        assert caught.value.cure
    with pytest.raises(LabError, match="web-"):
        web.kill("nope")
    with pytest.raises(LabError, match="There are: web"):
        web.url("svc/nope")
    with pytest.raises(CommandError, match="NotFound"):
        web.kubectl("get pod nope").wait(30)
    assert names(web) == before


def test_a_crash_restarts_the_container_and_keeps_the_pod(web: Lab) -> None:
    victim = web.pods("web")[0]
    assert web.crash(victim)

    def restarted() -> bool:
        return any(row.uid == victim.uid and row.restarts == 1 for row in web.pods())

    until(restarted, "the restart")
    events = web.events()
    assert [each for each in events if each[2] == "Started" and each[3] == f"pod/{victim.name}"]


def test_a_pod_without_its_label_lives_on_uncounted(web: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = web.pods("web")[0]
    web.unlabel(chosen, "app")
    assert f"$ kubectl label pod {chosen.name} app-" in capsys.readouterr().out
    rows = until_ready(web, "web", 3)
    assert chosen.uid not in {row.uid for row in rows}
    assert len(web.pods()) == 4
    pod = web._session.api.get(KINDS["pods"].path(CHAPTER, chosen.name))
    assert not pod["metadata"].get("ownerReferences")
    web.label(chosen.name, "app", "web")
    until(lambda: len([row for row in web.pods() if not row.leaving]) == 3, "one too many to be deleted")


def test_requests_are_answered_by_all_and_none_is_lost_when_a_pod_drains(served: Lab) -> None:
    web = served
    traffic = web.requests("svc/web", rate=30)
    until(lambda: len(traffic.by_pod) == 3, "answers from three Pods")
    victim = web.pods("web")[0]
    web.kill(victim)
    until(lambda: victim.name not in names(web), "the victim to be gone")
    until_ready(web, "web", 3)
    tally = traffic.stop()
    assert tally.failed == 0, tally.failures
    assert tally.sent == tally.answered > 30
    assert victim.name in tally.by_pod


def test_a_second_call_for_requests_replaces_the_first(web: Lab) -> None:
    first = web.requests("svc/web", rate=10)
    until(lambda: first.answered, "an answer")
    second = web.requests("svc/web", rate=10)
    assert not first.tally().running
    assert second.tally().running
    second.stop()


def test_a_prediction_is_judged_by_what_happens(web: Lab) -> None:
    prediction = web.predict("after-the-kill")
    assert "No prediction made" in repr(web.kill(web.pods("web")[0]))
    until_ready(web, "web", 3)
    again = web.predict("after-the-kill")
    again.answer("count", "3").answer("name", "same")
    web.kill(web.pods("web")[0])
    until(lambda: again.run.verdict, "the verdict", 120)
    assert again.run.verdict is not None
    assert dict(again.run.verdict.right) == {"count": True, "name": False}
    assert "it was another name" in repr(web.stopwatch())
    assert prediction.run is again.run, "asking again starts anew"


def test_the_exercise_is_red_until_it_is_done_and_notices_when_it_breaks(lab: Lab) -> None:
    assert not lab.check("keep-three")
    lab.apply("tea.yaml").wait(30)
    until_ready(lab, "tea", 1)
    exercise = lab.exercise("keep-three")
    # A check judges by the mirror, which hears of it a moment later than who asks the API server.
    until(lambda: "wants 1" in exercise.check().message, "the check to have heard of tea")
    assert "Not" not in exercise.hint()
    exec(exercise.solution(), {"lab": lab})
    until(lambda: exercise.check().passed, "the check to turn green")
    assert exercise.check().standing == "solved"
    lab.kubectl("scale rs/tea --replicas=1").wait(30)
    until(lambda: exercise.check().standing == "broken", "the check to notice")
    assert "It was done at" in exercise.check().message


def test_kubectl_is_the_real_one_and_the_guard_is_in_front_of_it(web: Lab) -> None:
    assert "worker-1" in repr(web.kubectl("get nodes -o wide"))
    assert "default" in repr(web.kubectl("kubectl get namespaces"))
    before = names(web)
    for line in (
        "delete pods --all -A",
        "delete pod x -n kube-system",
        "delete node worker-1",
        "get pods --context=other",
    ):
        with pytest.raises(GuardError):
            web.kubectl(line).wait(30)
    for line in ("get pods | grep web", "get 'pods", "get pods -w", "exec -it x -- sh"):
        with pytest.raises(LabError):
            web.kubectl(line)
    assert names(web) == before


def test_a_long_kubectl_line_gives_the_cell_back(web: Lab) -> None:
    with within(HELD):
        running = web.kubectl("wait pods --all --for=delete --timeout=4s")
    assert "still running" in repr(running)
    with pytest.raises(CommandError, match="timed out"):
        running.wait(30)


def test_no_call_holds_the_kernel(web: Lab) -> None:
    # A machine that also runs other tests is slow at the first import of everything: that is done before.
    web.map()
    for call in (
        lambda: web.pods(),
        lambda: web.map(),
        lambda: web.graph(),
        lambda: web.stopwatch(),
        lambda: web.timeline(),
        lambda: web.predict("after-the-kill"),
        lambda: web.exercise("keep-three"),
        lambda: web.events(),
        lambda: web.stuck(),
        lambda: web.url("svc/web"),
        lambda: web.logs(web.pods("web")[0]),
        lambda: web.kill(web.pods("web")[0]),
    ):
        with within(HELD):
            repr(call())


def test_the_map_asks_for_the_prediction_first_and_tells_what_you_did(web: Lab) -> None:
    live = web.map()
    assert live.armed
    prediction = web.predict("after-the-kill")
    until(lambda: not live.armed, "the Kill buttons to wait")
    assert live.reason
    prediction.answer("count", "3").answer("name", "unknown")
    until(lambda: live.armed, "the Kill buttons to wake up")
    victim = web.pods("web")[0]
    web.kill(victim)

    def told() -> bool:
        story = live.picture()["scene"]["story"]
        return any(each["tone"] == "you" and victim.name in each["text"] for each in story)

    until(told, "the story to say that it was you")


def test_the_url_is_open_to_a_browser_on_this_machine(web: Lab) -> None:
    assert until(lambda: answer(web), "an answer") in names(web)


def test_stuck_names_the_missing_cell(lab: Lab) -> None:
    assert 'lab.apply("web.yaml")' in repr(lab.stuck())
    lab.apply("web.yaml").wait(30)
    until_ready(lab, "web", 3)
    until(lambda: "lab.kill" in repr(lab.stuck()), "the next cell to be named")


def test_reset_is_quick_and_complete(web: Lab) -> None:
    web.apply("tea.yaml").wait(30)
    web.requests("svc/web")
    web.kubectl("create configmap mine --from-literal=a=b").wait(30)
    with within(10):
        web.reset()
    left = repr(web.kubectl("get all,configmaps"))
    assert "web" not in left
    assert "tea" not in left
    assert "mine" not in left
    assert web.stopwatch().recovery is None
    assert not [each for each in threading.enumerate() if each.name.startswith("k8slab-requests")]


def test_when_the_cluster_is_gone_every_call_is_one_sentence() -> None:
    before = set(threading.enumerate())
    try:
        lab = Lab.open(CHAPTER, backend="embedded", name="t-gone", nodes=1)
        lab.apply("web.yaml").wait(30)
        lab.map()
        lab.cluster.delete()
        for call in (lambda: lab.pods(), lambda: lab.kill("x"), lambda: lab.requests("svc/web")):
            with pytest.raises(LabError, match=r"Lab\.open"):
                call()
        again = Lab.open(CHAPTER, backend="embedded", name="t-gone", nodes=1)
        assert again is not lab
        with pytest.raises(ClusterStateError, match="closed"):
            lab.pods()
        assert not list(again.pods())
        again.close()
        again.close()
        with pytest.raises(ClusterStateError, match=r"Lab\.open"):
            again.map()
    finally:
        from k8slab.clusters import delete_cluster

        delete_cluster("t-gone")

    def left() -> set[str]:
        return {each.name for each in set(threading.enumerate()) - before}

    until(lambda: not any(name.startswith("k8slab") for name in left()), "the threads of a closed lab to end")

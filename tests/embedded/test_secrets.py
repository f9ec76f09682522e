"""A Secret's value is nowhere in what the lab draws, sends, answers, keeps and writes."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab import Lab
from k8slab.widgets.live_map import LiveMap
from tests.embedded.conftest import RunningCluster, until

CHAPTER = "03-replicasets"
FIRST, SECOND = "correct-horse-battery", "staple-of-the-second-day"
SECRET = """
apiVersion: v1
kind: Secret
metadata: {{name: password}}
stringData: {{PASSWORD: {value}}}
"""
USER = """
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  volumes: [{name: keys, secret: {secretName: password}}]
  containers:
    - name: demo
      image: k8slab/demo:1
      env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: password, key: PASSWORD}}}]
      volumeMounts: [{name: keys, mountPath: /keys}]
"""


@pytest.fixture
def lab(cluster: RunningCluster) -> Iterator[Lab]:
    opened = Lab.open(CHAPTER, backend="embedded", name=cluster.cluster.name)
    yield opened
    opened.reset()
    opened.close()


def test_a_value_is_in_no_picture_message_answer_or_file(
    lab: Lab, cluster: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def send(live: LiveMap, content: Any, buffers: list[bytes] | None = None) -> None:
        sent.append([content, [gzip.decompress(each).decode() for each in buffers or ()]])

    def ask(op: str, uid: str = "") -> str:
        request = f"r{len(sent)}-{op}"
        content = {"op": op, "request": request, "uid": uid, "verb": "kill"}
        live.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        asked = until(
            lambda: [m for m, _ in sent if m.get("request") == request and m["state"] != "working"], op
        )
        assert asked[0]["state"] == "done", asked
        return str(asked[0]["text"])

    monkeypatch.setattr(LiveMap, "send", send)
    for text in (SECRET.format(value=FIRST), USER):
        cluster.kubectl(f"-n {CHAPTER} apply -f -", stdin=text)
    live = lab.map(layers=["volumes", "configuration"])
    store = lab._session.mirror.store
    secret = until(lambda: store.get("Secret", "password", CHAPTER), "the Secret")
    pod = until(lambda: store.get("Pod", "user", CHAPTER), "the Pod")
    assert secret is not None and pod is not None
    uids = [each["metadata"]["uid"] for each in (secret, pod)]
    until(lambda: f"{uids[1]} {uids[0]}" in live.picture()["scene"]["links"], "the Pod to read it")
    until(lambda: "1/1" in repr(lab.pods()), "the Pod to run")
    cluster.kubectl(f"-n {CHAPTER} apply -f -", stdin=SECRET.format(value=SECOND))
    version = secret["metadata"]["resourceVersion"]
    until(lambda: store.objects("Secret")[0]["metadata"]["resourceVersion"] != version, "the second value")

    answers = {f"{op} {uid}": ask(op, uid) for op in ("yaml", "events", "command") for uid in uids[-1:]}
    answers |= {op: ask(op, uids[0]) for op in ("yaml", "events")}
    assert "PASSWORD" in answers["yaml"], "the keys are shown"
    ask("history")
    seen = {
        "messages": json.dumps(sent),
        "answers": json.dumps(answers),
        "the widget's state, as a notebook saves it": json.dumps(live.get_state(), default=str),
        "the cell's output, as a notebook saves it": json.dumps(live._repr_mimebundle_(), default=str),
        "mirror": json.dumps([store.objects(kind) for kind in ("Secret", "Pod", "Event")], default=str),
        "tables": repr(lab.pods()) + repr(lab.events()) + repr(lab.timeline()),
    }
    lab._session.timeline.save(tmp_path / "timeline.jsonl")
    for name in ("lesson.html", "lesson.jsonl"):
        lab.export(str(tmp_path / name))
    seen |= {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {"timeline.jsonl", "lesson.html", "lesson.jsonl"} <= seen.keys()
    assert [where for where, text in seen.items() if "password" not in text] == ["tables"]
    values = [text for each in (FIRST, SECOND) for text in (each, base64.b64encode(each.encode()).decode())]
    assert [(where, value) for where, text in seen.items() for value in values if value in text] == []

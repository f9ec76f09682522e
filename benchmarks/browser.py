"""What the live map costs a browser: the widget's real script in a headless Chromium, without Jupyter.

A page of its own holds the script with a model that only passes messages on. Script time is what Chromium's
tracing attributes to calls of functions on the page's main thread (thread time where it is given); painting
is not part of it, and shows in the frames. Headless Chromium paints in software.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.figures import Measurement
from benchmarks.picture import PODS, Picture

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SCRIPT_MS, FRAME_MS, SCRIPT_BYTES = 8.0, 1000 / 55, 100_000.0
ROLLING = 20
SETTLE_MS = 1000
CHURN, BURSTS, GROWTH_MB = 300, 5, 2.0
_FEED = """async (messages) => {
  for (const message of messages) { tell(message); await new Promise(requestAnimationFrame); }
}"""

_PAGE = """<!doctype html><meta charset="utf-8"><style>%(css)s</style><body data-jp-theme-light="true">
<div id="map"></div><script type="application/json" id="picture">%(picture)s</script>
<script type="application/json" id="script">%(script)s</script><script type="module">
const source = JSON.parse(document.getElementById("script").textContent);
const widget = (await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })))).default;
const heard = [];
const state = { snapshot: JSON.parse(document.getElementById("picture").textContent) };
window.tell = (message) => heard.forEach((hear) => hear(message));
const answer = ({ request }) => tell({ request, state: "done", text: "", direct: true, seq: 1 });
const model = { get: (name) => state[name], off() {}, send: (asked) => queueMicrotask(() => answer(asked)),
  on: (name, hear) => { if (name === "msg:custom") heard.push(hear); } };
widget.render({ model, el: document.getElementById("map") });
</script>"""

_STATUSES = """async (messages) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const at = () => JSON.stringify([...document.querySelectorAll(".k8-pod")].map((pod) => {
    const { x, y } = pod.getBBox(); return [pod.dataset.uid, Math.round(x), Math.round(y)]; }).sort());
  const before = at();
  for (const message of messages) { performance.mark("told"); tell(message); await frame(); }
  return before === at() ? 0 : 1;
}"""

_ROLL = """async ({ frames, pause }) => {
  const times = []; let on = true;
  const tick = (time) => { times.push(time); if (on) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  for (const message of frames) { tell(message); await new Promise((done) => setTimeout(done, pause)); }
  on = false;
  return times.slice(1).map((time, index) => time - times[index]);
}"""


def measure(changes: int) -> list[Measurement]:
    """Send changes of status to a map of 200 Pods, then let 20 of 21 Pods roll.

    Args:
        changes: how many changes of status.
    """
    from k8slab.widgets.live_map import script

    program = next(found for name in CHROMIUM if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1300, "height": 1200})
            crowd = Picture(PODS)
            show(page, crowd.scene)
            messages = [{"seq": 2 + n, **crowd.status_message()} for n in range(changes)]
            browser.start_tracing(page=page, categories=["devtools.timeline", "blink.user_timing"])
            moved = page.evaluate(_STATUSES, messages)
            spans = script_spans(json.loads(browser.stop_tracing()))
            heaps = heap_after(page, crowd, changes + 2)
            page.close()
            page = browser.new_page(viewport={"width": 1300, "height": 1000})
            few = Picture(ROLLING + 1)
            show(page, few.scene)
            gaps = page.evaluate(_ROLL, {"frames": roll(few.scene), "pause": 150})
        finally:
            browser.close()
    sent = float(len(script().encode()))
    return [
        Measurement(
            f"status of one of {PODS} Pods: script in the browser",
            "ms",
            tuple(spans),
            {"pods": PODS, "counted": "FunctionCall events of the main thread between two messages"},
            {"p95": SCRIPT_MS, "positions moved": 0.0},
            {"positions moved": float(moved)},
        ),
        Measurement(
            f"frames while {ROLLING} Pods roll (55 a second is 18.2 ms)",
            "ms",
            tuple(gaps),
            {"pods": ROLLING + 1, "painting": "in software, headless"},
            {"mean": FRAME_MS},
            {"mean": sum(gaps) / len(gaps)},
        ),
        Measurement(
            f"page memory: growth over {(len(heaps) - 1) * CHURN:,} changes",
            "MB",
            tuple(heaps),
            {"each": f"heap in use after a forced collection, every {CHURN} changes"},
            {"growth": GROWTH_MB},
            {"growth": heaps[-1] - heaps[0]},
        ),
        Measurement("the widget's script", "bytes", (sent,), {}, {"p95": SCRIPT_BYTES}),
    ]


def show(page: Page, scene: dict[str, Any]) -> None:
    """Load a page with a map of a scene, and wait until it is drawn."""
    from k8slab.widgets.live_map import LiveMap, script

    picture = {
        "seq": 1,
        "scene": scene,
        "armed": True,
        "reason": "",
        "trouble": "",
        "moment": scene["moment"],
    }
    inert = {"picture": picture, "script": script()}
    filled = {name: json.dumps(value).replace("<", "\\u003c") for name, value in inert.items()}
    page.set_content(_PAGE % {**filled, "css": LiveMap._css})
    page.wait_for_selector(".k8slab-map[data-width]")
    page.wait_for_timeout(SETTLE_MS)


def heap_after(page: Page, crowd: Picture, seq: int) -> list[float]:
    """Megabytes of script memory in use after each of some bursts of changes, garbage collected."""
    session = page.context.new_cdp_session(page)
    found = []
    for _ in range(BURSTS + 1):
        messages = [{"seq": seq + n, **crowd.status_message()} for n in range(CHURN)]
        seq += CHURN
        page.evaluate(_FEED, messages)
        session.send("HeapProfiler.collectGarbage")
        found.append(session.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
    return found


def script_spans(trace: dict[str, Any]) -> list[float]:
    """Milliseconds of script after each message, from a trace with a mark at each."""
    events = trace["traceEvents"]
    told = sorted(each["ts"] for each in events if each.get("name") == "told" and each.get("ph") in "RIin")
    calls = [each for each in events if each.get("name") == "FunctionCall" and each.get("ph") == "X"]
    ends = [*told[1:], float("inf")]
    return [
        sum(each.get("tdur", each["dur"]) for each in calls if begin <= each["ts"] < end) / 1000
        for begin, end in zip(told, ends, strict=True)
    ]


def roll(scene: dict[str, Any]) -> list[dict[str, Any]]:
    """Messages by which one Pod after the other goes and its heir comes, four going at a time."""
    pods, moment = scene["pods"], scene["moment"]
    uids = list(pods)[:ROLLING]
    found = []
    for index, uid in enumerate(uids):
        leaving = {"look": "terminating", "status": "Terminating", "heir": f"heir-{index}"}
        heir = {**pods[uid], "name": f"web-heir-{index}", "slot": pods[uid]["slot"] + 3}
        drop = {"pods": [uids[index - 4]]} if index >= 4 else {}
        news = {uid: {**pods[uid], **leaving, "grace_end": moment + 30}, f"heir-{index}": heir}
        found.append({"seq": 2 + index, "moment": moment + index, "set": {"pods": news}, "drop": drop})
    return found

// The exported page: the map without a kernel. It is given a recording, and answers its own requests.

const recording = JSON.parse(document.getElementById("k8slab-recording").textContent);
const heard = new Set();
const model = {
  get: (name) => (name === "snapshot" ? { seq: 0, scene: recording.start, moment: recording.start.moment } : undefined),
  on: (event, listener) => { if (event === "msg:custom") heard.add(listener); },
  off: (event, listener) => heard.delete(listener),
  send: ({ request, op }) => queueMicrotask(() => {
    const text = "This is a recording: no cluster is behind it.";
    for (const listener of heard) listener({ request, state: op === "hello" ? "done" : "refused", text });
  }),
};
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => { document.body.dataset.jpThemeLight = String(!dark.matches); };
paint();
dark.addEventListener("change", paint);
const page = new MapView(model, document.getElementById("k8slab-map"));
page.leaveHistory = () => {};
page.enterHistory({ ...recording, lasting: true });
for (const part of [page.menu.history, page.menu.popups.layers.holder, page.menu.wide]) part.hidden = true;
document.addEventListener("keydown", (event) => page.replay.key(event));

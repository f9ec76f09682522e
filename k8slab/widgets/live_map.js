// The live map: one view keeps its own copy of the scene, follows numbered changes, and asks when it sees a gap.
// The browser never writes a synced trait: it sends requests {op, uid, request} and gets answers to them.

const SECTIONS = new Set(["nodes", "owners", "services", "pods", "edges", "components"]);
const MOST_ANIMATIONS = 10;
const still = window.matchMedia?.("(prefers-reduced-motion: reduce)");
let animations = 0;
let serial = 0;

function animate(node, frames, options) {
  if (still?.matches || animations >= MOST_ANIMATIONS || !node.animate) return Promise.resolve();
  animations += 1;
  return node.animate(frames, options).finished.catch(() => {}).finally(() => { animations -= 1; });
}

/** Apply one difference to a scene, in place, as `patched` of k8slab.graph.difference does. */
function applyChanges(scene, { set = {}, drop = {} }) {
  for (const [name, keys] of Object.entries(drop)) {
    if (name === "story") scene.story = scene.story.filter((line) => !keys.some((id) => String(id) === String(line.id)));
    else for (const key of keys) if (scene[name]) delete scene[name][key];
  }
  for (const [name, values] of Object.entries(set)) {
    if (SECTIONS.has(name)) scene[name] = { ...scene[name], ...values };
    else if (name === "story") scene.story = [...scene.story, ...Object.values(values)];
    else if (name === "scene") Object.assign(scene, values);
  }
}

class Channel {
  constructor(model, heard) {
    this.model = model;
    this.heard = heard;
    this.pending = new Map();
    this.direct = false;
    this.listener = (message) => this.receive(message);
    model.on("msg:custom", this.listener);
  }

  status() {
    return this.model.widget_manager?.kernel?.status ?? "unknown";
  }

  receive(message) {
    if (message.request !== undefined) {
      const waiting = this.pending.get(message.request);
      if (waiting) {
        if (message.direct !== undefined) this.direct = message.direct;
        waiting(message);
      }
    }
    this.heard(message);
  }

  /** Ask the kernel; `told` hears within 50 ms where the request stands. */
  ask(op, uid = "", more = {}, told = () => {}) {
    const request = `${Date.now().toString(36)}-${(serial += 1)}-${Math.random().toString(36).slice(2, 8)}`;
    const { promise, resolve } = Promise.withResolvers?.() ?? withResolvers();
    const late = setTimeout(() => told(this.standing()), 25);
    this.pending.set(request, (answer) => {
      clearTimeout(late);
      if (answer.state === "working") {
        told("working");
        return;
      }
      this.pending.delete(request);
      resolve(answer);
    });
    this.model.send({ op, uid, request, ...more });
    return promise;
  }

  standing() {
    const status = this.status();
    if (status === "dead" || status === "terminating") return "not sent: the kernel is not running";
    if (status === "busy" && !this.direct) return "queued: a cell is running";
    return "sent: waiting for the kernel";
  }

  close() {
    this.model.off("msg:custom", this.listener);
    this.pending.clear();
  }
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve) => { made.resolve = resolve; });
  return made;
}

class MapView {
  constructor(model, el) {
    this.model = model;
    this.root = html("div", "k8slab-map", "", { role: "group", "aria-label": "Live map of the cluster" });
    el.append(this.root);
    this.panels = buildPanels(this.root);
    this.svg = make("svg", { class: "k8-drawing", role: "group", "aria-label": "Services, nodes and Pods" });
    this.desc = make("desc");
    this.arrow = `k8-arrow-${(serial += 1)}`;
    const defs = make("defs", {}, make("marker", { id: this.arrow, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 8,
      markerHeight: 8, orient: "auto" }, make("path", { d: "M0 0L8 4L0 8z", class: "k8-arrow-head" })));
    this.layers = {};
    this.svg.append(this.desc, defs);
    for (const name of ["frame", "nodes", "edges", "services", "heirs", "pods", "ends"]) {
      this.svg.append(this.layers[name] = make("g", { class: `k8-layer-${name}` }));
    }
    this.panels.stage.append(this.svg);
    this.groups = { nodes: new Map(), services: new Map(), pods: new Map() };
    this.kept = {};
    this.link = "live";
    this.channel = new Channel(model, (message) => this.hear(message));
    this.toolbar = new Toolbar(this.panels.stage, (...args) => this.channel.ask(...args), (uid, focus) => this.closed(uid, focus));
    this.load(model.get("snapshot") ?? {});
    this.observe();
    this.hello();
  }

  observe() {
    this.snapshotChanged = () => {
      const picture = this.model.get("snapshot") ?? {};
      if ((picture.seq ?? 0) > this.seq) this.load(picture);
    };
    this.model.on("change:snapshot", this.snapshotChanged);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.root);
    this.tick = setInterval(() => this.second(), 1000);
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("click", (event) => this.clicked(event));
    for (const [name, on] of [["pointerover", true], ["pointerout", false]]) {
      this.svg.addEventListener(name, (event) => this.hover(event, on));
    }
  }

  load(picture) {
    const empty = { nodes: {}, owners: {}, services: {}, pods: {}, edges: {}, components: {}, story: [], recovery: null };
    this.scene = { ...empty, ...structuredClone(picture.scene ?? {}) };
    this.seq = picture.seq ?? 0;
    this.armed = picture.armed ?? true;
    this.reason = picture.reason ?? "";
    this.trouble = picture.trouble ?? "";
    this.clock(picture.moment ?? this.scene.moment ?? Date.now() / 1000);
    this.draw();
  }

  /** The kernel's clock, which need not be this machine's. */
  clock(moment) {
    this.offset = moment - performance.now() / 1000;
  }

  now() {
    return performance.now() / 1000 + this.offset;
  }

  hear(message) {
    if (message.moment !== undefined) this.clock(message.moment);
    this.link = "live";
    this.confirmed = true;
    if (message.snapshot) {
      if (message.snapshot.seq >= this.seq) this.load(message.snapshot);
      this.asked = false;
    } else if (message.seq !== undefined && message.request === undefined) {
      this.follow(message);
    }
  }

  follow(message) {
    if (message.seq <= this.seq) return;
    if (message.seq !== this.seq + 1) {
      this.askAgain();
      return;
    }
    this.seq = message.seq;
    applyChanges(this.scene, message);
    for (const name of ["armed", "reason", "trouble"]) if (message[name] !== undefined) this[name] = message[name];
    this.soon();
  }

  /** Several batches within one frame are drawn once. A hidden tab paints no frame, so there a timer draws. */
  soon() {
    if (this.frame) return;
    const draw = () => { this.frame = null; this.draw(); };
    this.frame = document.hidden ? setTimeout(draw, 100) : requestAnimationFrame(draw);
  }

  async askAgain() {
    if (this.asked) return;
    this.asked = true;
    await this.channel.ask("snapshot");
    this.asked = false;
  }

  /** Say hello until somebody answers; a saved notebook has nobody, and then says so. */
  async hello() {
    let answered = false;
    for (const wait of [0, 400, 1500, 5000]) {
      setTimeout(() => {
        if (answered || this.gone) return;
        this.channel.ask("hello").then((answer) => {
          answered = true;
          if (answer.seq !== undefined && answer.seq !== this.seq) this.askAgain();
        });
      }, wait);
    }
    setTimeout(() => {
      if (this.confirmed || this.gone) return;
      this.link = this.channel.status() === "busy" ? "waiting" : "saved";
      this.draw();
    }, 2000);
  }

  draw() {
    if (this.gone) return;
    const width = Math.floor(this.root.clientWidth);
    if (width < 60) return;
    this.ruler ??= new Ruler(this.root);
    this.root.dataset.width = width;
    this.root.classList.toggle("k8-wide", width >= 900);
    const scene = this.scene;
    const plan = this.plan = arrange(scene, width, this.kept);
    plan.arrow = this.arrow;
    this.root.dataset.changes = scene.changes ?? 0;
    this.root.dataset.seq = this.seq;
    drawHeader(this.panels, scene, this.link);
    drawPlane(this.panels, scene);
    drawOwners(this.panels, scene);
    this.drawPicture(scene, plan);
    drawRecovery(this.panels, scene.recovery);
    drawStory(this.panels, scene.story);
    if (!this.treeTimer) this.treeTimer = setTimeout(() => { this.treeTimer = null; drawTree(this.panels, this.scene); }, 500);
    this.drawTrouble();
  }

  drawPicture(scene, plan) {
    this.svg.setAttribute("width", plan.width);
    this.svg.setAttribute("height", plan.height.toFixed(0));
    const pods = Object.values(scene.pods);
    say(this.desc, `${Object.keys(plan.nodes).length} nodes, ${pods.length} Pods, ${pods.filter((p) => p.ready).length} of them ready.`);
    this.each("nodes", plan.nodes, scene.nodes, () => make("g", { class: "k8-node-group" }),
      (group, uid) => drawNode(group, scene.nodes[uid], plan.nodes[uid], scene, this.ruler, plan.collapsed, uid),
      (uid) => plan.collapsed ? pods.filter((pod) => pod.node === uid).map((pod) => pod.look).sort().join() : "");
    this.each("services", plan.services, scene.services, () => make("g", { class: "k8-service-group", tabindex: "-1" }),
      (group, uid) => drawService(group, scene.services[uid], plan.services[uid], this.ruler));
    const heirs = new Set(plan.heirs.map((heir) => heir.heir));
    this.each("pods", plan.pods, scene.pods, (uid) => make("g", { class: "k8-pod", tabindex: "0", role: "button",
      "data-uid": uid, "aria-haspopup": "dialog" }), (group, uid) => this.drawOnePod(group, uid, heirs.has(uid)),
    (uid) => `${heirs.has(uid)}/${scene.owners[scene.pods[uid].owner]?.name}/${scene.pods[scene.pods[uid].heir]?.name}`);
    this.layers.edges.replaceChildren(...plan.edges.map((edge) => make("path", { d: edge.path,
      class: `k8-line k8-line-${edge.state}`, "data-service": edge.service, "data-pod": edge.pod })));
    this.layers.ends.replaceChildren(...plan.edges.map((edge) => make("circle", { cx: edge.end[0].toFixed(1),
      cy: edge.end[1].toFixed(1), r: 3.6, class: `k8-end k8-line-${edge.state}` })));
    const taken = [];
    this.layers.heirs.replaceChildren(...plan.heirs.map((heir) => drawHeir(heir, scene, plan, this.ruler, taken)));
    this.layers.frame.replaceChildren(...this.drawFrame(scene, plan));
    const chosen = this.toolbar.uid;
    if (chosen !== null) {
      this.toolbar.update(scene.pods[chosen], this.armed, this.reason);
      this.toolbar.place(plan.pods[chosen], plan.width);
    }
  }

  drawFrame(scene, plan) {
    const { lane, pad } = plan;
    const parts = [words(plan.label.x, plan.label.y, "SERVICES", "k8-heading-svg"),
      box(lane.x, lane.y, lane.w, lane.h, 12, "k8-lane"),
      words(lane.x + 16, lane.y + (lane.beside ? 30 : 22), "Waiting for a node", "k8-word k8-soft")];
    if (!Object.keys(scene.services).length) {
      parts.push(words(pad + 96, plan.label.y, "none yet: nothing gives these Pods an address that stays", "k8-aside"));
    }
    const waiting = Object.values(scene.pods).some((pod) => !plan.nodes[pod.node]);
    const y = lane.y + (lane.beside ? 30 : 54);
    if (!waiting) parts.push(words(lane.left, y, this.ruler.fit("nobody: the scheduler has placed every Pod",
      lane.x + lane.w - lane.left - 12, 13), "k8-aside k8-13"));
    else if (lane.more) parts.push(words(lane.x + 16, lane.y + lane.h - 10, `and ${lane.more} more`, "k8-aside"));
    return parts;
  }

  drawOnePod(group, uid, haloed) {
    const pod = this.scene.pods[uid];
    group.setAttribute("class", `k8-pod k8-look-${pod.look}${this.toolbar.uid === uid ? " k8-chosen" : ""}`);
    group.setAttribute("aria-label", `${describePod(pod, this.scene)}. Enter opens its toolbar.`);
    drawPod(group, pod, this.plan.pods[uid], this.scene, this.ruler, this.now(), haloed);
  }

  /** One group a uid: made when it comes, filled when it changed, faded when it goes. */
  each(layer, places, section, create, fill, extra = () => "") {
    const groups = this.groups[layer];
    for (const uid of Object.keys(places)) {
      let group = groups.get(uid);
      if (!group) {
        group = create(uid);
        groups.set(uid, group);
        this.layers[layer].append(group);
        animate(group, [{ opacity: 0 }, { opacity: 1 }], { duration: 350, easing: "ease-out" });
      }
      const { node, ...place } = places[uid];
      const signature = JSON.stringify([place, section[uid], extra(uid)]);
      if (group.signature !== signature) {
        group.signature = signature;
        fill(group, uid);
      }
    }
    for (const [uid, group] of groups) {
      if (places[uid]) continue;
      groups.delete(uid);
      group.setAttribute("aria-hidden", "true");
      animate(group, [{ opacity: 1 }, { opacity: 0 }], { duration: 700 }).then(() => group.remove());
    }
  }

  drawTrouble() {
    const known = this.root.querySelector(".k8-trouble");
    if (!this.trouble) { known?.remove(); return; }
    const note = known ?? html("div", "k8-trouble", "", { role: "alert" });
    say(note, this.trouble);
    if (!known) this.panels.stage.before(note);
  }

  /** Count down what counts down; nothing else is touched. */
  second() {
    if (document.hidden || this.gone) return;
    for (const node of this.svg.querySelectorAll("[data-grace-end]")) {
      say(node, `${Math.max(0, Math.ceil(Number(node.dataset.graceEnd) - this.now()))} s`);
    }
  }

  choose(uid) {
    const pod = this.scene.pods[uid];
    if (!pod) return;
    const before = this.toolbar.uid;
    if (before !== null) this.groups.pods.get(before)?.classList.remove("k8-chosen");
    this.groups.pods.get(uid)?.classList.add("k8-chosen");
    this.toolbar.open(uid, pod);
    this.toolbar.update(pod, this.armed, this.reason);
    this.toolbar.place(this.plan.pods[uid], this.plan.width);
  }

  closed(uid, focus) {
    const group = this.groups.pods.get(uid);
    group?.classList.remove("k8-chosen");
    if (focus) group?.focus({ preventScroll: true });
  }

  clicked(event) {
    const group = event.target.closest?.(".k8-pod");
    if (group) this.choose(group.dataset.uid);
    else this.toolbar.close(false);
  }

  hover(event, on) {
    const pod = event.target.closest?.(".k8-pod")?.dataset.uid;
    if (!pod) return;
    for (const line of this.layers.edges.querySelectorAll("[data-pod]")) {
      line.classList.toggle("k8-hot", on && line.dataset.pod === pod);
    }
  }

  /** The notebook has shortcuts on these keys too; here they belong to the map. */
  key(event) {
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    const pod = event.target.closest?.(".k8-pod");
    if (event.key === "Escape" && this.toolbar.uid !== null) {
      if (this.toolbar.reader.hidden) this.toolbar.close(true);
      else this.toolbar.reader.querySelector("button")?.click();
    } else if (pod && (event.key === "Enter" || event.key === " ")) {
      this.choose(pod.dataset.uid);
    } else if (!["Enter", " "].includes(event.key)) {
      return;
    } else {
      event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.gone = true;
    clearInterval(this.tick);
    clearTimeout(this.treeTimer);
    this.resize.disconnect();
    this.channel.close();
    this.model.off("change:snapshot", this.snapshotChanged);
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const view = new MapView(model, el);
    return () => view.close();
  },
};

// The drawing kept in the page: one group a uid, filled where it changed, so that a change of status costs little.

const MOST_ANIMATIONS = 10;
const ENTER = [{ opacity: 0, transform: "translateY(8px)" }, { opacity: 1, transform: "none" }];
const LEAVE = [{ opacity: 1 }, { opacity: 0 }];
const EDGE_STATES = ["no-endpoint", "terminating", "not-ready", "ready"];
const still = window.matchMedia?.("(prefers-reduced-motion: reduce)");
let animations = 0;

function animate(node, frames, options) {
  if (still?.matches || animations >= MOST_ANIMATIONS || !node.animate) return Promise.resolve();
  animations += 1;
  return node.animate(frames, options).finished.catch(() => {}).finally(() => { animations -= 1; });
}

class Picture {
  constructor(view) {
    this.view = view;
    this.svg = make("svg", { class: "k8-drawing", role: "group", "aria-label": "Services, nodes and Pods" });
    this.desc = make("desc");
    this.arrow = `k8-arrow-${(serial += 1)}`;
    const defs = make("defs", {}, make("marker", { id: this.arrow, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 8,
      markerHeight: 8, orient: "auto" }, make("path", { d: "M0 0L8 4L0 8z", class: "k8-arrow-head" })));
    this.world = html("div", "k8-world"); // what moves lies over the drawing in boxes of its own, which the browser can shift alone
    this.world.append(this.svg);
    this.layers = {};
    this.svg.append(this.desc, defs);
    for (const name of ["frame", "nodes", "edges", "ingresses", "services", "heirs", "groups", "pods", "ends", "misses"]) {
      this.svg.append(this.layers[name] = make("g", { class: `k8-layer-${name}` }));
    }
    this.byState = {};
    for (const state of EDGE_STATES) { // what gets requests lies over what leaves
      this.layers.edges.append(this.byState[state] = make("g"));
    }
    this.groups = { nodes: new Map(), services: new Map(), groups: new Map(), pods: new Map() };
    this.edges = new Map();
    this.kept = {};
  }

  /** Draw a scene at a width; `news` says what of it changed since. */
  draw(scene, width, news) {
    const { ruler } = this.view;
    this.scene = scene;
    const placed = news.all || news.places;
    if (placed) {
      const kept = this.kept;
      this.plan = arrange(scene, width, kept);
      this.plan.arrow = this.arrow;
      this.svg.setAttribute("width", this.plan.width);
      this.svg.setAttribute("height", this.plan.height.toFixed(0));
      this.halo = new Set(this.plan.heirs.map((heir) => heir.heir));
    }
    const plan = this.plan;
    this.quiet = news.all || this.isBulk(plan);
    if (placed || news.any("pods")) this.describe(scene, plan);
    this.each("nodes", plan.nodes, news, placed, (uid) => make("g", { class: "k8-node-group", ...this.opens(uid) }),
      (group, uid) => drawNode(group, scene.nodes[uid], plan.nodes[uid], ruler));
    this.each("services", plan.services, news, placed, (uid) => make("g", { class: "k8-service-group", ...this.opens(uid) }),
      (group, uid) => drawService(group, scene.services[uid], plan.services[uid], ruler));
    this.each("groups", plan.groups, news, placed, () => make("g", { class: "k8-group" }),
      (group, key) => drawGroup(group, scene.groups[key], plan.groups[key], ruler));
    this.each("pods", plan.pods, news, placed, (uid) => make("g", { class: "k8-pod", tabindex: "-1", role: "button",
      "data-uid": uid, "aria-haspopup": "dialog" }), (group, uid) => this.drawOnePod(group, uid),
    (uid) => `${this.halo.has(uid)} ${scene.pods[uid].heir in scene.pods}`);
    if (placed) this.stopAt(this.orphan?.heir || this.stop);
    if (this.orphan) focusOn(this.groups.pods.get(this.stop)); // the focus goes to the heir
    this.orphan = null;
    if (placed) this.drawEdges(plan);
    else for (const id of news.keys.edges) this.restate(id, scene.edges[id].state);
    if (placed || news.scene) this.drawHeirs(scene, plan);
    if (placed) this.layers.frame.replaceChildren(...this.drawFrame(scene, plan));
    if (placed) this.layers.ingresses.replaceChildren(...drawIngresses(scene, plan, ruler));
    if (placed) this.layers.misses.replaceChildren(...(this.kept.mismatches ? drawMisses(scene, plan, ruler) : []));
  }

  /** What makes a group a button that opens a toolbar. */
  opens(uid) {
    return { tabindex: "0", role: "button", "data-uid": uid, "aria-haspopup": "dialog" };
  }

  /** One Pod alone is a stop of the Tab key, the one that had the focus last; arrows lead to the others. */
  stopAt(uid) {
    const { pods } = this.groups;
    const stop = pods.has(uid) ? uid : bySlot(this.scene.pods).find(([each]) => pods.has(each))?.[0];
    if (stop === this.stop && pods.get(stop)?.getAttribute("tabindex") === "0") return;
    pods.get(this.stop)?.setAttribute("tabindex", "-1");
    pods.get(stop)?.setAttribute("tabindex", "0");
    this.stop = stop;
  }

  /** Whether so much comes and goes at once that movement would say nothing. */
  isBulk(plan) {
    const known = this.groups.pods;
    let count = 0;
    for (const uid of Object.keys(plan.pods)) if (!known.has(uid)) count += 1;
    for (const uid of known.keys()) if (!plan.pods[uid]) count += 1;
    return count > MANY_AT_ONCE;
  }

  describe(scene, plan) {
    const pods = Object.values(scene.pods);
    say(this.desc, `${Object.keys(plan.nodes).length} nodes, ${pods.length} Pods, ${pods.filter((p) => p.ready).length} of them ready.`);
  }

  drawFrame(scene, plan) {
    const { lane, pad } = plan;
    const parts = [words(plan.label.x, plan.label.y, "SERVICES", "k8-heading-svg"),
      box(lane.x, lane.y, lane.w, lane.h, 12, "k8-lane"),
      words(lane.x + 16, lane.y + (lane.beside ? 30 : 22), "Waiting for a node", "k8-word k8-soft")];
    if (!Object.keys(scene.services).length) {
      parts.push(words(pad + 96, plan.label.y, "none yet: nothing gives these Pods an address that stays", "k8-aside"));
    }
    const waiting = standing(scene).some(([, each]) => !plan.nodes[each.node]);
    const y = lane.y + (lane.beside ? 30 : 54);
    if (!waiting) parts.push(words(lane.left, y, this.view.ruler.fit("nobody: the scheduler has placed every Pod",
      lane.x + lane.w - lane.left - 12, 13), "k8-aside k8-13"));
    else if (lane.more) parts.push(words(lane.x + 16, lane.y + lane.h - 10, `and ${lane.more} more`, "k8-aside"));
    return parts;
  }

  drawOnePod(group, uid) {
    const { scene, view } = this;
    let pod = scene.pods[uid];
    // what is said of its selector stands where its note stands
    if (this.kept.mismatches && Object.values(scene.mismatches).some((miss) => miss.pod === uid)) pod = { ...pod, note: "" };
    group.setAttribute("class", `k8-pod k8-look-${pod.look}${view.toolbar.uid === uid ? " k8-chosen" : ""}`);
    group.setAttribute("aria-label", `${describePod(pod, scene)}. Enter opens its toolbar.`);
    (this.plan.pods[uid].dense ? drawDensePod : drawPod)(group, pod, this.plan.pods[uid], scene, view.ruler, view.now(), this.halo.has(uid));
    if (pod.restarts > (group.restarts ?? pod.restarts) && !this.quiet) this.flash(this.plan.pods[uid]);
    Object.assign(group, { restarts: pod.restarts, heir: pod.heir });
  }

  over(node, { x, y, w, h }) {
    Object.assign(node.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` });
    this.world.append(node);
    return node;
  }

  /** A restart lights the card up once. */
  flash(place) {
    const light = this.over(html("div", "k8-flash"), place);
    animate(light, [{ opacity: 0.7 }, { opacity: 0 }], { duration: 900, easing: "ease-out" }).then(() => light.remove());
  }

  /** Lift a Pod out of the drawing, so that while it moves nothing else is painted again. */
  lift(group, place) {
    const [x, y, w, h] = [place.x - 12, place.y - 12, place.w + 24, place.h + 40];
    const holder = make("svg", { class: "k8-drawing k8-moving", viewBox: `${x} ${y} ${w} ${h}` });
    holder.append(group);
    return this.over(holder, { x, y, w, h });
  }

  enter(group) {
    if (animations >= MOST_ANIMATIONS || still?.matches) return;
    const holder = this.lift(group, group.place);
    animate(holder, ENTER, { duration: 300, easing: "ease-out" }).then(() => {
      const held = document.activeElement === group;
      if (!group.hasAttribute("aria-hidden")) this.layers.pods.append(group);
      if (held) focusOn(group);
      holder.remove();
    });
  }

  leave(group) {
    const holder = this.lift(group, group.place);
    animate(holder, LEAVE, { duration: 500 }).then(() => holder.remove());
  }

  /** One group a uid: made when it comes, filled when it changed, faded when it goes. */
  each(layer, places, news, placed, create, fill, extra = () => "") {
    const groups = this.groups[layer];
    for (const uid of placed ? Object.keys(places) : news.keys[layer]) {
      if (!places[uid]) continue;
      let group = groups.get(uid);
      const fresh = !group;
      if (fresh) {
        group = create(uid);
        groups.set(uid, group);
        this.layers[layer].append(group);
      }
      const { x, y, w, h } = places[uid];
      const signature = `${x} ${y} ${w} ${h} ${places[uid].foot} ${extra(uid)}`;
      if (group.signature !== signature || news.has(layer, uid) || (news.owned && layer === "pods")) {
        group.signature = signature;
        fill(group, uid);
      }
      group.place = places[uid];
      if (fresh && !this.quiet && layer === "pods") this.enter(group);
    }
    if (!placed) return;
    for (const [uid, group] of groups) {
      if (places[uid]) continue;
      groups.delete(uid);
      if (document.activeElement === group) this.orphan = group;
      group.setAttribute("aria-hidden", "true");
      group.removeAttribute("tabindex");
      if (this.quiet || layer !== "pods") group.remove();
      else this.leave(group);
    }
  }

  drawEdges(plan) {
    const gone = new Set(this.edges.keys());
    for (const { id, path, state, service, pod, end } of plan.edges) {
      gone.delete(id);
      let edge = this.edges.get(id);
      if (!edge) {
        edge = { line: make("path", { "data-service": service, "data-pod": pod }), end: make("circle", { r: 3.6 }) };
        this.edges.set(id, edge);
        this.layers.ends.append(edge.end);
      }
      if (edge.path !== path) {
        edge.path = path;
        edge.line.setAttribute("d", path);
        edge.end.setAttribute("cx", end[0].toFixed(1));
        edge.end.setAttribute("cy", end[1].toFixed(1));
      }
      this.restate(id, state);
    }
    for (const id of gone) {
      const { line, end } = this.edges.get(id);
      line.remove();
      end.remove();
      this.edges.delete(id);
    }
  }

  restate(id, state) {
    const edge = this.edges.get(id);
    if (!edge || edge.state === state) return;
    edge.state = state;
    edge.line.setAttribute("class", `k8-line k8-line-${state}`);
    edge.end.setAttribute("class", `k8-end k8-line-${state}`);
    (this.byState[state] ?? this.layers.edges).append(edge.line);
  }

  drawHeirs(scene, plan) {
    const { victim = "", healed = null } = scene.recovery ?? {};
    const signature = JSON.stringify([plan.heirs, victim, healed]);
    if (this.heirsSeen === signature) return;
    this.heirsSeen = signature;
    const taken = [];
    const known = new Set(this.layers.heirs.children);
    for (const heir of plan.heirs) {
      const group = drawHeir(heir, scene, plan, this.view.ruler, taken);
      const same = [...known].find((old) => old.isEqualNode(group));
      if (same) known.delete(same);
      else this.layers.heirs.append(group);
    }
    for (const old of known) old.remove();
  }

  hover(uid, on) {
    for (const card of this.view.panels.resources?.children ?? []) {
      card.classList.toggle("k8-lit", on && `${uid} ${card.dataset.key}` in this.scene.links);
    }
    for (const { line } of this.edges.values()) line.classList.toggle("k8-hot", on && line.dataset.pod === uid);
  }
}

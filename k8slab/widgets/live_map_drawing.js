// Drawing of the live map: keyed SVG elements. Text only ever through textContent; no data becomes markup.

const SVG = "http://www.w3.org/2000/svg";
const LOOKS = {
  running: "running", starting: "starting", "not-ready": "not ready", terminating: "terminating", failed: "failed",
  done: "done", ghost: "gone",
};

function make(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter(Boolean));
  return node;
}

function html(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** What a shape says when it is pointed at, and to a screen reader. */
function titled(text) {
  const title = make("title");
  title.textContent = text;
  return title;
}

/** A card that opens a toolbar. */
function opener() {
  return html("button", "", "", { type: "button", "aria-haspopup": "dialog" });
}

function focusOn(node) {
  node?.focus({ preventScroll: true });
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function words(x, y, text, className, anchor = "start") {
  const node = make("text", { x: x.toFixed(1), y: y.toFixed(1), class: className, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

function box(x, y, w, h, r, className) {
  return make("rect", { x: x.toFixed(1), y: y.toFixed(1), width: Math.max(0, w).toFixed(1), height: h, rx: r, class: className });
}

/** The shape that stands for a look; never colour alone. */
function mark(look, x, y, s = 6) {
  const at = `translate(${x.toFixed(1)} ${y.toFixed(1)})`;
  const known = LOOKS[look] ? look : "not-ready";
  const paths = {
    running: `M${-s} 0a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0z`,
    starting: `M0 ${-s}L${s * 1.05} ${s * 0.85}H${-s * 1.05}z`,
    "not-ready": `M${-s * 0.85} ${-s * 0.85}h${s * 1.7}v${s * 1.7}h${-s * 1.7}z`,
    terminating: `M${-s * 0.8} ${-s * 0.8}L${s * 0.8} ${s * 0.8}M${s * 0.8} ${-s * 0.8}L${-s * 0.8} ${s * 0.8}`,
    failed: `M0 ${-s * 1.15}L${s * 1.15} 0L0 ${s * 1.15}L${-s * 1.15} 0z`,
    done: `M${-s} 0L${-s * 0.25} ${s * 0.75}L${s} ${-s * 0.75}`,
    ghost: `M${-s * 0.8} ${-s * 0.8}L${s * 0.8} ${s * 0.8}M${s * 0.8} ${-s * 0.8}L${-s * 0.8} ${s * 0.8}`,
  };
  return make("path", { d: paths[known], transform: at, class: `k8-mark k8-${known}` });
}

/** Widths of text as the page draws it, remembered. */
class Ruler {
  constructor(element) {
    const style = getComputedStyle(element);
    this.sans = style.fontFamily || "sans-serif";
    this.mono = style.getPropertyValue("--k8-mono") || "monospace";
    this.context = document.createElement("canvas").getContext("2d");
    this.known = new Map();
  }

  width(text, size, weight = 400, mono = false) {
    const key = `${size}/${weight}/${mono}/${text}`;
    if (!this.known.has(key)) {
      if (this.known.size > 4000) this.known.clear();
      this.context.font = `${weight} ${size}px ${mono ? this.mono : this.sans}`;
      this.known.set(key, this.context.measureText(text).width);
    }
    return this.known.get(key);
  }

  /** Shorten to a width; names lose their middle (the end tells Pods apart), sentences their end. */
  fit(text, room, size, weight = 400, mono = false) {
    if (this.width(text, size, weight, mono) <= room) return text;
    const letters = [...text];
    for (let keep = letters.length - 1; keep > 1; keep -= 1) {
      const tail = mono ? Math.min(6, Math.floor(keep / 2)) : 0;
      const short = letters.slice(0, keep - tail).join("").trimEnd() + "…" + (tail ? letters.slice(-tail).join("") : "");
      if (this.width(short, size, weight, mono) <= room) return short;
    }
    return "…";
  }
}

function graceLeft(pod, now) {
  return pod.grace_end ? Math.max(0, Math.ceil(pod.grace_end - now)) : null;
}

function describePod(pod, scene) {
  const where = scene.nodes[pod.node] ? `on ${scene.nodes[pod.node].name}` : "waiting for a node";
  const owner = scene.owners[pod.owner];
  const parts = [`Pod ${pod.name}`, `${pod.status} (${LOOKS[pod.look] ?? pod.look})`, where];
  parts.push(owner ? `owned by ${owner.kind} ${owner.name}` : "no owner");
  if (pod.ip) parts.push(`address ${pod.ip}`);
  for (const each of pod.containers ?? []) parts.push(`container ${each.name} ${each.state}`);
  if (pod.restarts) parts.push(`restarted ${pod.restarts} times`);
  if (pod.note) parts.push(pod.note);
  if (pod.heir && scene.pods[pod.heir]) parts.push(`its heir is ${scene.pods[pod.heir].name}`);
  return parts.join(", ");
}

/** Fill a Pod's group with its card. */
function drawPod(group, pod, place, scene, ruler, now, haloed) {
  const { x, y, w, h } = place;
  const title = titled(describePod(pod, scene));
  const leaving = pod.look === "terminating" || pod.look === "ghost";
  const parts = [title];
  parts.push(box(x - 5, y - 5, w + 10, h + 10, 14, haloed ? "k8-halo" : "k8-ring"));
  parts.push(box(x, y, w, h, place.compact ? 8 : 10, `k8-card k8-edge-${pod.look}`));
  if (place.compact) {
    parts.push(mark(pod.look, x + 16, y + h / 2, 5.5));
    const status = pod.status;
    const right = ruler.width(status, 12.5, 600);
    parts.push(words(x + 28, y + 21, ruler.fit(pod.name, w - right - 52, 13, 600, true), "k8-name k8-small-name"));
    parts.push(words(x + w - 10, y + 21, ruler.fit(status, w - 60, 12.5, 600), "k8-word", "end"));
    group.replaceChildren(...parts);
    return;
  }
  if (!leaving) parts.push(box(x + 1, y + 9, 6, h - 18, 3, `k8-bar k8-${pod.look}`));
  parts.push(words(x + 17, y + 24, ruler.fit(pod.name, w - 28, 14, 600, true), `k8-name${leaving ? " k8-soft" : ""}`));
  parts.push(mark(pod.look, x + 23, y + 42, 6));
  const status = ruler.fit(pod.status, w - 50, 13.5, 600);
  parts.push(words(x + 36, y + 47, status, `k8-word${leaving ? " k8-soft" : ""}`));
  const room = w - 36 - ruler.width(status, 13.5, 600) - 18;
  const grace = pod.look === "terminating" ? graceLeft(pod, now) : null;
  const beside = grace !== null ? `${grace} s` : leaving ? "" : pod.ip;
  let below = "";
  if (beside && ruler.width(beside, 12) > room) {
    below = beside;
  } else if (beside) {
    const node = words(x + w - 10, y + 47, beside, "k8-aside", "end");
    if (grace !== null) node.dataset.graceEnd = pod.grace_end;
    parts.push(node);
  }
  parts.push(...drawContainers(pod, x + 17, y + 58, w - 27, ruler, leaving, below));
  if (pod.note) {
    parts.push(words(x + 2, y + h + 15, ruler.fit(pod.note, w - (haloed || pod.heir ? 38 : 4), 12), "k8-aside"));
  }
  group.replaceChildren(...parts);
}

/** A Pod's low card, where a node holds many: name and restarts, status and containers. What finds no room is in its title. */
function drawDensePod(group, pod, { x, y, w, h }, scene, ruler, now, haloed) {
  const title = titled(describePod(pod, scene));
  const leaving = pod.look === "terminating" || pod.look === "ghost";
  const soft = leaving ? " k8-soft" : "";
  const grace = pod.look === "terminating" ? graceLeft(pod, now) : null;
  const beside = grace !== null ? `${grace} s` : pod.restarts ? `↻ ${pod.restarts}×` : "";
  const status = ruler.fit(pod.status, w - 46, 13, 600);
  const after = x + 40 + ruler.width(status, 13, 600);
  const parts = [title, box(x - 4, y - 4, w + 8, h + 8, 12, haloed ? "k8-halo" : "k8-ring"), box(x, y, w, h, 9, `k8-card k8-edge-${pod.look}`)];
  if (!leaving) parts.push(box(x + 1, y + 7, 6, h - 14, 3, `k8-bar k8-${pod.look}`));
  parts.push(words(x + 15, y + 21, ruler.fit(pod.name, w - 27 - (beside ? ruler.width(beside, 12, 600) + 8 : 0), 13, 600, true), `k8-name k8-small-name${soft}`));
  if (beside) {
    const node = words(x + w - 9, y + 21, beside, `k8-aside${grace === null ? " k8-warn" : ""}`, "end");
    if (grace !== null) node.dataset.graceEnd = pod.grace_end;
    parts.push(node);
  }
  parts.push(mark(pod.look, x + 21, y + 38, 5.5), words(x + 33, y + 43, status, `k8-word k8-13${soft}`));
  const room = x + w - 9 - after;
  const all = pod.containers ?? [];
  if (all.reduce((sum, each) => sum + ruler.width(each.name, 12.5) + 39, -6) <= room) {
    parts.push(...drawContainers({ ...pod, restarts: 0 }, after, y + 27, room, ruler, leaving, ""));
  } else {
    const fit = all.slice(0, Math.max(0, Math.floor(room / 17)));
    fit.forEach((each, i) => parts.push(mark(leaving ? "terminating" : each.look, after + 8 + 17 * i, y + 39, 4.5)));
  }
  group.replaceChildren(...parts);
}

/** The chips of the containers, and right of them how often they restarted, else what found no room above. */
function drawContainers(pod, x, y, room, ruler, leaving, below) {
  const parts = [];
  const all = pod.containers ?? [];
  const chips = all.reduce((sum, each) => sum + ruler.width(each.name, 12.5) + 37, 0);
  const fits = (text) => chips + ruler.width(text, 12, 600) + 4 <= room;
  let beside = pod.restarts ? `restarted ${pod.restarts}×` : below;
  if (pod.restarts && !fits(beside)) beside = `↻ ${pod.restarts}×`;
  if (!pod.restarts && !fits(beside)) beside = "";
  const taken = beside ? ruler.width(beside, 12, 600) + 6 : 0;
  let at = x;
  let drawn = 0;
  for (const each of all) {
    const last = drawn === all.length - 1;
    const left = x + room - taken - at - (last ? 0 : 26);
    if (left < 44) break;
    const name = ruler.fit(each.name, left - 34, 12.5);
    const w = ruler.width(name, 12.5) + 33;
    parts.push(box(at, y, w, 24, 6, `k8-chip${leaving ? " k8-hollow" : ""}`));
    parts.push(mark(leaving && each.look === "running" ? "terminating" : each.look, at + 12, y + 12, 4.5));
    parts.push(words(at + 23, y + 16.5, name, "k8-chip-name"));
    at += w + 6;
    drawn += 1;
  }
  if (drawn < all.length) parts.push(words(at, y + 16.5, `+${all.length - drawn}`, "k8-chip-name"));
  if (beside) parts.push(words(x + room, y + 16.5, beside, `k8-aside${pod.restarts ? " k8-warn" : ""}`, "end"));
  return parts;
}

function drawService(group, service, place, ruler) {
  const { x, y, w, h } = place;
  const title = titled(`Service ${service.name}, ${service.address}, ${service.ready} of ${service.total} ready. ` +
    `Selects ${service.selector || "nothing"}. ${service.hint ? `${service.hint}. ` : ""}${service.played}`);
  const name = ruler.fit(service.name, w * 0.45, 15, 700);
  const hint = service.hint ?? "";
  const state = hint && !service.total ? ruler.fit(hint, w - 54, 12.5, 600) : `${service.ready} of ${service.total} ready`;
  const nameX = x + 20 + ruler.width("Service ", 12.5);
  const addressRoom = w - 40 - ruler.width("Service ", 12.5) - ruler.width(name, 15, 700) - 12;
  const stateX = x + 36;
  const playedRoom = w - 16 - 36 - ruler.width(state, 13, 600) - 14;
  group.replaceChildren(...[
    title,
    box(x, y, w, h, 16, `k8-service${service.played ? " k8-played" : ""}`),
    words(x + 18, y + 20, "Service", "k8-kind"),
    words(nameX, y + 20, name, "k8-title"),
    words(x + w - 18, y + 20, ruler.fit(service.address, addressRoom, 13, 400, true), "k8-address", "end"),
    mark(service.ready ? "running" : "not-ready", x + 25, y + 35, 5),
    words(stateX, y + 39.5, state, hint && !service.total ? "k8-aside k8-warn" : "k8-state"),
    playedRoom > 30 && words(x + w - 18, y + 39.5, ruler.fit(service.played, playedRoom, 12), "k8-aside", "end"),
  ].filter(Boolean));
}

function drawNode(group, node, place, ruler) {
  const { x, y, w, h, foot } = place;
  const title = titled(`Node ${node.name}, ${node.status}. ${node.played}`);
  const [ready, ...rest] = node.status.split(",");
  const base = y + h - foot;
  const pillW = ruler.width(ready, 12.5, 600) + 34;
  const extra = rest.includes("SchedulingDisabled") ? "cordoned" : "";
  const extraW = extra ? ruler.width(extra, 12.5, 600) + 8 : 0;
  const two = foot > 50;
  const name = ruler.fit(node.name, w - 38 - pillW - (two ? 0 : extraW), 15, 700);
  const pillX = x + 14 + ruler.width(name, 15, 700) + 10;
  const parts = [
    title,
    box(x, y, w, h, 14, `k8-node${node.ready ? "" : " k8-down"}`),
    make("path", { class: "k8-foot", d: `M${x + 1} ${base}h${w - 2}v${foot - 15}a14 14 0 0 1 -14 14h${-(w - 30)}a14 14 0 0 1 -14 -14z` }),
    words(x + 14, base + 26, name, "k8-title"),
    box(pillX, base + 10, pillW, 23, 11.5, node.ready ? "k8-pill k8-pill-good" : "k8-pill k8-pill-bad"),
    mark(node.ready ? "running" : "failed", pillX + 14, base + 21.5, 4.5),
    words(pillX + 25, base + 26, ready, "k8-pill-text"),
  ];
  const from = pillX + pillW + 8;
  const right = x + w - 14;
  if (extra) parts.push(words(two ? x + 14 : from, base + (two ? 47 : 26), extra, "k8-aside k8-warn"));
  const aside = (two ? w - 28 : right - from) - extraW;
  if (node.played && aside > 60) {
    const text = ruler.fit(node.played, aside, 12);
    parts.push(two ? words(x + 14 + extraW, base + 47, text, "k8-aside") : words(right, base + 26, text, "k8-aside", "end"));
  }
  group.replaceChildren(...parts);
}

/** The arrow to an heir and, where there is room on it, a label. */
function drawHeir(heir, scene, plan, ruler, taken) {
  const victim = scene.pods[heir.uid], next = scene.pods[heir.heir];
  const recovery = scene.recovery;
  const timed = recovery && recovery.healed != null && recovery.victim === victim.name;
  const text = timed ? `replaced by its heir: ${recovery.healed.toFixed(2)} s` : `its heir: ${ruler.fit(next.name, 150, 12.5, 600, true)}`;
  const title = titled(`${victim.name} is replaced by ${next.name}`);
  const group = make("g", { class: "k8-heir" }, title,
    make("path", { d: heir.path, class: "k8-arrow", "marker-end": `url(#${plan.arrow})` }));
  const size = 12.5, mono = false;
  const w = ruler.width(text, size, 600, mono) + 24;
  const x = Math.max(plan.pad, Math.min(plan.width - plan.pad - w, heir.at[0] - w / 2));
  const place = [x, heir.at[1] - 10, w, 20];
  const clash = taken.some(([a, b, c, d]) => x < a + c && a < x + w && place[1] < b + d && b < place[1] + 20);
  if (!clash) {
    taken.push(place);
    group.append(box(x, place[1], w, 20, 10, "k8-label"), words(x + w / 2, place[1] + 14.5, text, "k8-word", "middle"));
  }
  return group;
}

// What stands around the drawing, in HTML, so that it wraps: header, control plane, owners, recovery, story, legend, text.

const PHASE_COLOURS = 6;
const BADGES = {
  live: ["live", "good"], reconnecting: ["reconnecting", "warn"], stale: ["stale", "bad"],
  past: ["history:", "quiet"], saved: ["saved picture", "quiet"], waiting: ["waiting for the kernel", "quiet"],
};

function clockTime(moment) {
  return new Date(moment * 1000).toLocaleTimeString([], { hour12: false });
}

function tenths(moment) {
  return `${clockTime(moment)}.${Math.floor((moment % 1) * 10)}`;
}

function icon(look, size = 16) {
  const svg = make("svg", { width: size, height: size, viewBox: "-8 -8 16 16", "aria-hidden": "true", class: "k8-icon" });
  svg.append(mark(look, 0, 0, 6));
  return svg;
}

function section(name, className) {
  const node = html("section", `k8-row ${className}`);
  const label = html("h4", "k8-heading", name);
  const body = html("div", "k8-body");
  node.append(label, body);
  return [node, body];
}

/** Keep one child element a key, in the order given; `fill` is called where the signature changed. */
function keyed(parent, entries, create, fill) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  entries.forEach(([key, value], index) => {
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = create(key, value);
      child.dataset.key = key;
    }
    const signature = JSON.stringify(value);
    if (child.signature !== signature) {
      child.signature = signature;
      fill(child, value, key);
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const child of known.values()) child.remove();
}

function buildPanels(root) {
  const panels = { badgeState: "" };
  const header = html("header", "k8-header");
  panels.title = html("h3", "k8-map-title");
  panels.badge = html("span", "k8-badge", "", { role: "status" });
  panels.backend = html("span", "k8-backend");
  panels.changes = html("span", "k8-changes");
  panels.shown = html("strong", "k8-shown");
  panels.limits = html("span", "k8-limits");
  panels.tools = html("div", "k8-tools", "", { role: "toolbar", "aria-label": "The map's own buttons" });
  header.append(panels.title, panels.badge, panels.backend, panels.shown, panels.limits, panels.tools);
  [panels.planeRow, panels.plane] = section("Control plane", "k8-plane");
  [panels.ownersRow, panels.owners] = section("Owners", "k8-owners");
  panels.stage = html("div", "k8-stage");
  panels.history = html("div", "k8-history");
  panels.history.hidden = true;
  panels.canvas = html("div", "k8-canvas");
  panels.stage.append(panels.history, panels.canvas);
  [panels.recoveryRow, panels.recovery] = section("Recovery", "k8-recovery");
  [panels.storyRow, panels.story] = section("What happened", "k8-story");
  const scroller = html("div", "k8-log", "", { role: "log", "aria-live": "off", tabindex: "0", "aria-label": "What happened, oldest first" });
  panels.log = html("ol");
  scroller.append(panels.log);
  panels.story.append(scroller);
  panels.legend = buildLegend();
  panels.legend.append(panels.changes);
  panels.tree = html("div", "k8-unseen", "", { role: "region", "aria-label": "The same state as text" });
  panels.list = html("ul", "", "", { "aria-live": "polite" });
  panels.tree.append(panels.list);
  panels.below = html("div", "k8-below");
  panels.below.append(panels.recoveryRow, panels.storyRow);
  root.append(header, panels.planeRow, panels.ownersRow, panels.stage, panels.below, panels.legend, panels.tree);
  return panels;
}

function buildLegend() {
  const legend = html("footer", "k8-legend", "", { "aria-label": "Legend" });
  for (const [look, word] of Object.entries(LOOKS)) {
    const item = html("span", "k8-legend-item");
    item.append(icon(look, 14), html("span", "", word));
    legend.append(item);
  }
  for (const [state, word] of [["ready", "gets requests"], ["not-ready", "not ready: gets none"], ["terminating", "leaving"]]) {
    const svg = make("svg", { width: 34, height: 10, "aria-hidden": "true" });
    svg.append(make("path", { d: "M1 5H33", class: `k8-line k8-line-${state}` }));
    const item = html("span", "k8-legend-item");
    item.append(svg, html("span", "", word));
    legend.append(item);
  }
  const item = html("span", "k8-legend-item");
  item.append(html("span", "k8-legend-box"), html("span", "", "dashed box, or the word played: k8slab stands in for the real part"));
  legend.append(item);
  return legend;
}

function drawHeader(panels, scene, link) {
  say(panels.title, scene.title ?? "");
  const state = link === "live" ? scene.badge?.state ?? "live" : link;
  const [word, tone] = BADGES[state] ?? [state, "quiet"];
  const then = state === "saved" || state === "past";
  const since = then ? scene.moment : scene.badge?.since;
  const when = state === "past" ? ` ${tenths(since)}` : state === "live" || state === "waiting" || !since ? "" : `${then ? " of" : " since"} ${clockTime(since)}`;
  const note = !then && scene.badge?.note ? ` · ${scene.badge.note}` : "";
  if (panels.badgeState !== word + when + note) {
    panels.badgeState = word + when + note;
    panels.badge.className = `k8-badge k8-badge-${tone}`;
    panels.badge.replaceChildren(icon({ good: "running", warn: "starting", bad: "failed" }[tone] ?? "not-ready", 14),
      html("span", "", word + when + note));
  }
  const { pods, of } = scene.shown ?? {};
  say(panels.shown, pods !== of ? `showing ${pods} of ${of} Pods` : "");
  say(panels.backend, scene.backend ?? "");
  say(panels.changes, `${scene.changes ?? 0} changes seen`);
}

function drawLimits(panels, scene) {
  keyed(panels.limits, bySlot(scene.limits), () => html("span", "k8-limit"), (chip, limit) => {
    chip.classList.toggle("k8-full", limit.full);
    chip.replaceChildren(icon(limit.full ? "failed" : "done", 12), html("span", "", `${limit.name}: ${limit.text}${limit.full ? " (full)" : ""}`));
    chip.title = `ResourceQuota ${limit.name}: ${limit.text}`;
  });
}

function drawPlane(panels, scene) {
  const look = { running: "running", stopped: "failed" };
  const entries = bySlot(scene.components);
  panels.planeRow.hidden = !entries.length;
  keyed(panels.plane, entries, opener, (pill, component, name) => {
    pill.dataset.uid = name;
    pill.className = `k8-component k8-component-${component.state}`;
    pill.replaceChildren(icon(look[component.state] ?? "not-ready", 14), html("span", "k8-component-name", name),
      html("span", "k8-component-state", component.state));
  });
}

function drawOwners(panels, scene) {
  const entries = bySlot(scene.owners).map(([uid, owner]) => [uid, { ...owner, of: scene.owners[owner.owner] }]);
  panels.ownersRow.hidden = !entries.length;
  keyed(panels.owners, entries, opener, (card, owner, uid) => {
    card.dataset.uid = uid;
    const short = owner.ready < owner.wants || owner.has !== owner.wants;
    card.className = `k8-owner${short ? " k8-short" : ""}`;
    const title = html("div", "k8-owner-row");
    title.append(html("span", "k8-owner-kind", owner.kind), html("span", "k8-owner-name", owner.name));
    if (owner.revision) title.append(html("span", "k8-badge-small", `revision ${owner.revision}`));
    for (const badge of owner.badges ?? []) title.append(html("span", "k8-badge-small", badge));
    const count = html("div", "k8-owner-count");
    count.append(icon(short ? "starting" : "running", 14),
      html("span", "", `wants ${owner.wants} · has ${owner.has} · ready ${owner.ready}`));
    const of = owner.of ? `of ${owner.of.kind} ${owner.of.name}` : "";
    const leaving = owner.terminating ? `${owner.terminating} leaving` : "";
    const note = [leaving, owner.note ?? "", of].filter(Boolean).join(" · ");
    const state = html("div", "k8-owner-row");
    state.append(count, html("span", "k8-owner-note", note));
    card.replaceChildren(title, state);
    card.title = `${owner.kind} ${owner.name}. ${note}`;
  });
}

function drawRecovery(panels, recovery) {
  const signature = JSON.stringify(recovery ?? null);
  if (panels.recoverySeen === signature) return;
  panels.recoverySeen = signature;
  const body = panels.recovery;
  if (!recovery) {
    body.replaceChildren(html("p", "k8-quiet", "No Pod was killed yet. Kill one, and every step of its healing is timed here."));
    return;
  }
  const bar = html("div", "k8-bar-track", "", { "aria-hidden": "true" });
  const steps = html("div", "k8-steps");
  const whole = Math.max(recovery.healed ?? 0, ...recovery.phases.map((phase) => phase.seconds), 0.001);
  let before = 0;
  recovery.phases.forEach((phase, i) => {
    const piece = html("span", `k8-phase k8-phase-${i % PHASE_COLOURS}`);
    piece.style.left = `${(100 * before) / whole}%`;
    piece.style.width = `max(3px, calc(${(100 * (phase.seconds - before)) / whole}% - 2px))`;
    before = phase.seconds;
    bar.append(piece);
    const step = html("span", "k8-step");
    step.append(html("i", `k8-phase-${i % PHASE_COLOURS}`), html("span", "", `${phase.name} ${phase.seconds.toFixed(2)}`));
    steps.append(step);
  });
  const heir = recovery.heir ? ` → ${recovery.heir}` : "";
  const result = recovery.healed != null ? `healed in ${recovery.healed.toFixed(2)} s` : "healing";
  const line = html("div", "k8-bar-line");
  line.append(bar, html("strong", "k8-healed", result));
  body.replaceChildren(line, steps, html("div", "k8-quiet", `${recovery.victim}${heir}, seconds since the kill`));
}

function drawStory(panels, story) {
  const log = panels.log;
  let start = null;
  const entries = (story ?? []).map((line) => {
    if (line.tone === "you") start = line.moment;
    const after = start === null || line.tone === "you" ? null : line.moment - start;
    const when = after !== null && after >= 0 && after < 120 ? `+${after.toFixed(2)} s` : clockTime(line.moment);
    return [String(line.id), { when, text: line.text, tone: line.tone }];
  });
  if (!entries.length) entries.push(["none", { when: "", text: "Nothing has happened yet.", tone: "plain" }]);
  keyed(log, entries, () => html("li"), (item, line) => {
    item.className = `k8-tone-${line.tone}`;
    item.replaceChildren(html("span", "k8-when", line.when), html("span", "k8-text", line.text));
  });
}

/** The text tree of the same state, for readers of the screen; only what changed is announced. */
function drawTree(panels, scene) {
  const lines = [["badge", `The map is ${scene.badge?.state ?? "live"}.`]];
  for (const [uid, node] of bySlot(scene.nodes)) lines.push([uid, `Node ${node.name}: ${node.status}. ${node.played}`]);
  for (const [uid, owner] of bySlot(scene.owners)) {
    lines.push([uid, `${owner.kind} ${owner.name}: wants ${owner.wants}, has ${owner.has}, ready ${owner.ready}. ${owner.note ?? ""}`]);
  }
  for (const [uid, service] of bySlot(scene.services)) {
    lines.push([uid, `Service ${service.name}: ${service.ready} of ${service.total} Pods ready.`]);
  }
  const pods = bySlot(scene.pods);
  for (const [uid, pod] of pods) lines.push([uid, describePod(pod, scene)]);
  if (scene.shown && scene.shown.pods !== scene.shown.of) lines.push(["shown", `Showing ${scene.shown.pods} of ${scene.shown.of} Pods one by one.`]);
  for (const [key, group] of bySlot(scene.groups)) {
    const looks = Object.entries(group.looks ?? {}).map(([look, count]) => `${count} ${LOOKS[look] ?? look}`).join(", ");
    lines.push([key, `${group.count} Pods of ${group.kind} ${group.name} on ${scene.nodes[group.node]?.name ?? "no node"}: ${looks}`]);
  }
  const named = (uid) => scene.resources[uid] ? `${scene.resources[uid].kind} ${scene.resources[uid].name}` :
    scene.services[uid] ? `Service ${scene.services[uid].name}` : `Pod ${scene.pods[uid]?.name ?? "gone"}`;
  for (const [uid, each] of bySlot(scene.resources)) lines.push([uid, `${each.kind} ${each.name}: ${each.state}. ${each.note ?? ""}`]);
  for (const [key, link] of Object.entries(scene.links)) lines.push([key, `${named(link.from)} ${link.relation} ${named(link.to)} ${link.text ?? ""}`]);
  for (const [key, each] of Object.entries(scene.mismatches)) lines.push([`mismatch ${key}`, `${named(each.service)}, ${named(each.pod)}: ${each.why}`]);
  for (const [uid, limit] of bySlot(scene.limits)) lines.push([uid, `ResourceQuota ${limit.name}: ${limit.text}${limit.full ? ", full" : ""}`]);
  for (const [name, component] of bySlot(scene.components)) lines.push([`component ${name}`, `${name}: ${component.state}`]);
  keyed(panels.list, lines, () => html("li"), (item, text) => say(item, text));
}

/** A map that was closed says where it is now, in the output it leaves. */
function sayFarewell(el, text) {
  const line = html("div", "k8-farewell", text);
  const output = el.closest(".jp-OutputArea-child") ?? el;
  output.append(line);
}

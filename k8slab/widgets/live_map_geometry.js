// Geometry of the live map: slots and the element's width in, rectangles and lines out. Pure; measures nothing.
// Lengths are CSS pixels. A status never has a place here, so a change of status moves nothing.

const POD = { height: 92, gutter: 42, least: 158, lane: 14, arrow: 27 };
const DENSE = { height: 56, gutter: 25, arrow: 12 };
const SPACIOUS_SLOTS = 6;
const NODE = { least: 210, top: 22, foot: 42, footTwoLines: 58, padding: 14 };
const SERVICE = { height: 48, least: 270, most: 380, gap: 16, rowGap: 22 };
const CHIP = { height: 32, width: 236, gap: 10 };
const INGRESS = { height: 30, gap: 14, least: 240, most: 420, gutter: 24 };

function bySlot(section) {
  return Object.entries(section ?? {}).sort(([a, x], [b, y]) => x.slot - y.slot || (a < b ? -1 : 1));
}

function isCompact(pod, nodes) {
  return !pod.node || !nodes[pod.node];
}

/** What stands on nodes: Pods and, where there is a crowd, groups of them. */
function standing(scene) {
  return [...Object.entries(scene.pods), ...Object.entries(scene.groups ?? {})];
}

/** Arrange a scene at a width. `kept` remembers how many rows were ever needed, so that nothing shrinks or jumps. */
function arrange(scene, width, kept) {
  const pad = width >= 1000 ? 24 : 16;
  const inner = width - 2 * pad;
  const plan = { width, pad, ingresses: {}, services: {}, nodes: {}, pods: {}, groups: {}, edges: [], routes: [], heirs: [] };
  const held = new Set(standing(scene).map(([, each]) => each.node));
  const shown = bySlot(scene.nodes).filter(([uid, node]) => !node.control_plane || held.has(uid));
  let y = placeServices(scene, plan, inner, placeIngresses(scene, plan, inner));
  plan.busTop = y;
  plan.busStep = Math.max(4, Math.min(8, 40 / Math.max(1, Object.keys(plan.services).length)));
  y += 26 + plan.busStep * Math.max(0, Object.keys(plan.services).length - 1);
  y = placeNodes(scene, shown, plan, inner, y, kept);
  y = placeLane(scene, plan, inner, y, kept);
  plan.height = y;
  routeEdges(scene, plan, kept.mismatches);
  routeIngresses(scene, plan);
  routeHeirs(scene, plan);
  return plan;
}

function ingressesOf(scene) {
  return bySlot(scene.resources).filter(([, each]) => each.layer === "ingress" && each.kind === "Ingress");
}

/** Ingresses stand in rows above the Services; returns where the Services begin. */
function placeIngresses(scene, plan, inner) {
  const found = ingressesOf(scene);
  if (!found.length) return 0;
  const columns = Math.min(found.length, Math.max(1, Math.floor((inner + INGRESS.gap) / (INGRESS.least + INGRESS.gap))));
  const w = Math.min(INGRESS.most, (inner - (columns - 1) * INGRESS.gap) / columns);
  const left = plan.pad + (inner - columns * w - (columns - 1) * INGRESS.gap) / 2;
  found.forEach(([uid], index) => {
    plan.ingresses[uid] = { x: left + (index % columns) * (w + INGRESS.gap), y: 4 + Math.floor(index / columns) * (INGRESS.height + 8),
      w, h: INGRESS.height };
  });
  return 4 + Math.ceil(found.length / columns) * (INGRESS.height + 8) - 8 + INGRESS.gutter;
}

/** From an Ingress straight down to each Service of the first row that it names; the others it names in words. */
function routeIngresses(scene, plan) {
  for (const [id, link] of Object.entries(scene.links ?? {})) {
    const from = plan.ingresses[link.from], to = plan.services[link.to];
    if (!from || !to || to.line) continue;
    const bus = to.y - (plan.label.y < to.y ? 6 : 14) + (Object.keys(plan.ingresses).indexOf(link.from) % 3) * 3;
    const into = to.x + 24;
    const out = from.x + from.w / 2;
    if (from.y + from.h > bus) continue;
    plan.routes.push({ id, path: rounded([[out, from.y + from.h], [out, bus], [into, bus], [into, to.y]]), end: [into, to.y] });
  }
}

function placeServices(scene, plan, inner, above) {
  const services = bySlot(scene.services);
  plan.label = { x: plan.pad, y: above + 18 };
  if (!services.length) return above + 30;
  const count = services.length;
  const fit = Math.max(1, Math.floor((inner + SERVICE.gap) / (SERVICE.least + SERVICE.gap)));
  const rows = Math.ceil(count / fit);
  const columns = Math.ceil(count / rows);
  const w = Math.min(SERVICE.most, (inner - (columns - 1) * SERVICE.gap) / columns);
  const left = plan.pad + (inner - columns * w - (columns - 1) * SERVICE.gap) / 2;
  const beside = left - plan.pad > 96;
  const top = above + (beside ? 4 : 28);
  plan.label.y = beside ? top + SERVICE.height / 2 + 4 : above + 18;
  services.forEach(([uid], index) => {
    const row = Math.floor(index / columns);
    const x = left + (index % columns) * (w + SERVICE.gap);
    const y = top + row * (SERVICE.height + SERVICE.rowGap);
    plan.services[uid] = { x, y, w, h: SERVICE.height, index, line: row, last: row === rows - 1, gap: SERVICE.gap };
  });
  return top + rows * SERVICE.height + (rows - 1) * SERVICE.rowGap;
}

function placeNodes(scene, shown, plan, inner, y, kept) {
  const count = Math.max(1, shown.length);
  const fit = Math.max(1, Math.floor((inner + 14) / (NODE.least + 14)));
  const rows = Math.ceil(count / fit);
  const columns = Math.ceil(count / rows);
  const gap = rows > 1 ? 26 : 14;
  const nodeWidth = (inner - (columns - 1) * gap) / columns;
  const room = nodeWidth - 2 * NODE.padding;
  const across = Math.max(1, Math.floor((room + POD.lane) / (POD.least + POD.lane)));
  const podWidth = (room - (across - 1) * POD.lane) / across;
  // Where a node ever held many, cards are low from then on; what a Pod's status is has no say in it.
  plan.dense = plan.width >= 900 && (kept.dense ||= standing(scene).some(([, each]) =>
    !isCompact(each, scene.nodes) && each.slot >= SPACIOUS_SLOTS));
  const card = plan.card = plan.dense ? DENSE : POD;
  let podRows = Math.max(1, kept[`rows${across}`] ?? 1);
  for (const [, each] of standing(scene)) {
    if (!isCompact(each, scene.nodes)) podRows = Math.max(podRows, Math.floor(each.slot / across) + 1);
  }
  kept[`rows${across}`] = podRows;
  const foot = nodeWidth < 330 ? NODE.footTwoLines : NODE.foot;
  const body = NODE.top + podRows * (card.height + card.gutter);
  const height = body + foot;
  const rowGap = rows > 1 ? 34 : 0;
  Object.assign(plan, { columns, gap, across, podWidth, nodeTops: [], nodeHeight: height, foot, rowGap });
  shown.forEach(([uid], index) => {
    const row = Math.floor(index / columns);
    const column = index % columns;
    const place = { x: plan.pad + column * (nodeWidth + gap), y: y + row * (height + rowGap), w: nodeWidth,
      h: height, foot, row, column };
    plan.nodes[uid] = place;
    plan.nodeTops[row] = place.y;
  });
  for (const [uid, each] of standing(scene)) {
    const node = plan.nodes[each.node];
    if (!node) continue;
    const row = Math.floor(each.slot / across);
    (each.count ? plan.groups : plan.pods)[uid] = {
      x: node.x + NODE.padding + (each.slot % across) * (podWidth + POD.lane),
      y: node.y + NODE.top + row * (card.height + card.gutter),
      w: podWidth, h: card.height, row, node, compact: false, dense: plan.dense,
    };
  }
  return y + (shown.length ? rows * height + (rows - 1) * rowGap : 0) + 14;
}

function placeLane(scene, plan, inner, y, kept) {
  const beside = plan.width >= 620;
  const left = plan.pad + (beside ? 176 : 16);
  const room = plan.pad + inner - 14 - left;
  const across = Math.max(1, Math.floor((room + CHIP.gap) / (CHIP.width + CHIP.gap)));
  const w = Math.min(CHIP.width, room);
  const top = y + (beside ? 9 : 32);
  let rows = kept.lane ?? 1;
  let more = 0;
  for (const [uid, each] of standing(scene)) {
    if (plan.nodes[each.node]) continue;
    const row = Math.floor(each.slot / across);
    if (row > 3) { more += each.count ?? 1; continue; }
    rows = Math.max(rows, row + 1);
    (each.count ? plan.groups : plan.pods)[uid] = { x: left + (each.slot % across) * (w + CHIP.gap), y: top + row * (CHIP.height + 8), w,
      h: CHIP.height, row, node: null, compact: true };
  }
  kept.lane = rows;
  const height = (beside ? 18 : 41) + rows * CHIP.height + (rows - 1) * 8;
  plan.lane = { x: plan.pad, y, w: inner, h: height, beside, left, more };
  return y + height + 2;
}

/** A line through points with rounded corners. */
function rounded(points, radius = 8) {
  const kept = points.filter((p, i) => !i || Math.abs(p[0] - points[i - 1][0]) + Math.abs(p[1] - points[i - 1][1]) > 0.5);
  let path = `M${kept[0][0].toFixed(1)} ${kept[0][1].toFixed(1)}`;
  for (let i = 1; i < kept.length - 1; i += 1) {
    const [ax, ay] = kept[i - 1], [bx, by] = kept[i], [cx, cy] = kept[i + 1];
    const before = Math.hypot(bx - ax, by - ay), after = Math.hypot(cx - bx, cy - by);
    const r = Math.min(radius, before / 2, after / 2);
    const sx = bx - ((bx - ax) / before) * r, sy = by - ((by - ay) / before) * r;
    const ex = bx + ((cx - bx) / after) * r, ey = by + ((cy - by) / after) * r;
    path += `L${sx.toFixed(1)} ${sy.toFixed(1)}Q${bx.toFixed(1)} ${by.toFixed(1)} ${ex.toFixed(1)} ${ey.toFixed(1)}`;
  }
  const [x, y] = kept[kept.length - 1];
  return `${path}L${x.toFixed(1)} ${y.toFixed(1)}`;
}

/** From a Service down its stem, along its own bus in the gutter, and into each Pod: above, or from its left side. */
function routeEdges(scene, plan, mismatches) {
  const missing = Object.entries(mismatches ? scene.mismatches ?? {} : {}).filter(([, each]) => each.kind === "no-endpoint")
    .map(([id, each]) => [`mismatch ${id}`, { ...each, state: "no-endpoint" }]);
  for (const [id, edge] of [...Object.entries(scene.edges ?? {}), ...missing]) {
    const from = plan.services[edge.service];
    const to = plan.pods[edge.pod];
    if (!from || !to || to.compact) continue;
    const shift = (from.index % 3) * 3;
    const bus = plan.busTop + 12 + from.index * plan.busStep;
    const stem = from.x + from.w / 2;
    const points = [[stem, from.y + from.h]];
    if (!from.last) {
      const below = from.y + from.h + SERVICE.rowGap / 2;
      points.push([stem, below], [from.x - from.gap / 2, below]);
    }
    points.push([points[points.length - 1][0], bus]);
    const direct = to.row === 0;
    const target = direct ? to.x + to.w / 2 + (from.index % 5) * 10 : to.x - 6 - shift / 1.5;
    if (to.node.row > 0) {
      const gap = to.node.x - Math.min(plan.gap, 16) / 2 - shift;
      const above = plan.nodeTops[to.node.row] - plan.rowGap / 2 + shift;
      points.push([gap, bus], [gap, above], [target, above]);
    } else {
      points.push([target, bus]);
    }
    if (direct) points.push([target, to.y]);
    else points.push([target, to.y + 20 + shift * 3], [to.x, to.y + 20 + shift * 3]);
    plan.edges.push({ id, state: edge.state, service: edge.service, pod: edge.pod, path: rounded(points),
      end: points[points.length - 1] });
  }
  const order = { "no-endpoint": 0, terminating: 0, "not-ready": 1, ready: 2 };
  plan.edges.sort((a, b) => order[a.state] - order[b.state]);
}

/** From a Pod that goes to the one that came for it, through the gutters under the Pods. */
function routeHeirs(scene, plan) {
  let count = 0;
  for (const [uid, pod] of Object.entries(scene.pods)) {
    const from = plan.pods[uid];
    const to = pod.heir && plan.pods[pod.heir];
    if (!from || !to || from.compact || to.compact) continue;
    const nudge = (count % 3) * 2;
    count += 1;
    const out = from.x + from.w - 10 - nudge; // right of the note under the Pod, which keeps clear of both ends
    const into = to.x + to.w - 22 - nudge;
    const { arrow, gutter } = plan.card;
    const under = (place) => place.y + place.h + arrow + nudge;
    const over = (place) => place.y - gutter + arrow + nudge;
    const sameNodes = from.node.row === to.node.row;
    const up = sameNodes && from.row > to.row;
    const down = sameNodes && from.row < to.row;
    const low = up ? over(from) : under(from);
    const lowTo = down ? over(to) : under(to);
    const points = [[out, up ? from.y : from.y + from.h], [out, low]];
    if (!sameNodes) {
      const gap = to.node.x - Math.min(plan.gap, 16) / 2 - 4;
      points.push([gap, low], [gap, lowTo]);
    } else if (Math.abs(low - lowTo) > 1) {
      points.push([to.x - 4, low], [to.x - 4, lowTo]);
    }
    points.push([into, lowTo], [into, down ? to.y - 3 : to.y + to.h + 3]);
    const a = points[1], b = points[2];
    plan.heirs.push({ uid, heir: pod.heir, path: rounded(points), at: [(a[0] + b[0]) / 2, low] });
  }
}

// What the layers and a crowd add: Ingresses above the Services, claims and configuration in a row, groups, what does not match.

const KIND_SHAPES = {
  Ingress: "M-7 -6h14l-5 6v6l-4 -2v-4z",
  PersistentVolumeClaim: "M-6 -4a6 2.4 0 0 0 12 0a6 2.4 0 0 0 -12 0v8a6 2.4 0 0 0 12 0v-8",
  ConfigMap: "M-5 -7h7l3 3v11h-10zM-2.5 -1h5M-2.5 2.5h5",
  Secret: "M-5 -1h10v8h-10zM-3 -1v-2a3 3 0 0 1 6 0v2",
};
const SHORT_KINDS = { PersistentVolumeClaim: "Claim" };
const NAMES_SHOWN = 3;

function kindMark(kind, x, y) {
  return make("path", { d: KIND_SHAPES[kind] ?? "M-6 -6h12v12h-12z", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, class: "k8-kind-mark" });
}

/** The marks of a kind and, where it is in trouble, of that. */
function kindIcon(kind, look) {
  const svg = make("svg", { width: look === "failed" ? 34 : 18, height: 18, viewBox: `-9 -9 ${look === "failed" ? 34 : 18} 18`, "aria-hidden": "true", class: "k8-icon" });
  svg.append(kindMark(kind, 0, 0));
  if (look === "failed") svg.append(mark("failed", 17, 0, 5.5));
  return svg;
}

/** Who uses a resource, in words: the first names and how many more. */
function usersOf(links, scene) {
  const named = links.map((link) => (scene.pods[link.from] ?? scene.resources[link.from])?.name).filter(Boolean);
  if (!links.length) return "nobody uses it";
  const shown = named.slice(0, NAMES_SHOWN).join(", ");
  const more = links.length - Math.min(named.length, NAMES_SHOWN);
  const how = [...new Set(links.map((link) => link.text).filter(Boolean))].slice(0, 2).join(", ");
  return `used by ${shown}${more ? `${shown ? " and " : ""}${more} more` : ""}${how ? `, ${how}` : ""}`;
}

/** Claims, ConfigMaps and Secrets, a card each; under the mouse or with the focus it lights the Pods that use it. */
function drawResources(panels, scene, picture) {
  if (!panels.resources) {
    [panels.resourcesRow, panels.resources] = section("Storage and configuration", "k8-resources");
    panels.stage.after(panels.resourcesRow);
    const light = (event, on) => {
      const uid = event.target.closest?.(".k8-resource")?.dataset.key;
      for (const link of Object.values(uid ? picture.scene.links : {})) {
        if (link.to === uid) picture.groups.pods.get(link.from)?.classList.toggle("k8-lit", on);
      }
    };
    for (const [name, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) {
      panels.resources.addEventListener(name, (event) => light(event, on));
    }
  }
  const links = new Map();
  for (const link of Object.values(scene.links)) links.set(link.to, [...links.get(link.to) ?? [], link]);
  const entries = bySlot(scene.resources).filter(([, each]) => each.kind !== "Ingress" || each.layer !== "ingress")
    .map(([uid, each]) => [uid, { ...each, users: usersOf(links.get(uid) ?? [], scene) }]);
  panels.resourcesRow.hidden = !entries.length;
  keyed(panels.resources, entries, opener, (card, each, uid) => {
    card.className = `k8-resource k8-resource-${each.look}`;
    card.dataset.uid = uid;
    const title = html("span", "k8-owner-row");
    title.append(kindIcon(each.kind, each.look), html("span", "k8-owner-kind", SHORT_KINDS[each.kind] ?? each.kind),
      html("strong", "k8-resource-name", each.name), html("span", "k8-resource-state", each.state));
    const note = [each.note, each.users].filter(Boolean).join(" · ");
    card.replaceChildren(title, html("span", "k8-owner-note", note));
    card.title = `${each.kind} ${each.name}: ${each.state}. ${note}`;
    card.setAttribute("aria-label", `${card.title}. Enter opens its toolbar.`);
  });
}

/** Ingresses and their lines. What one names beyond the first row of Services, or in vain, stands in its words. */
function drawIngresses(scene, plan, ruler) {
  const lines = plan.routes.flatMap(({ path, end }) => [make("path", { d: path, class: "k8-line k8-route" }),
    make("circle", { cx: end[0].toFixed(1), cy: end[1].toFixed(1), r: 3.6, class: "k8-end k8-route-end" })]);
  const boxes = Object.entries(plan.ingresses).map(([uid, { x, y, w, h }]) => {
    const ingress = scene.resources[uid];
    const routes = Object.values(scene.links).filter((link) => link.from === uid);
    const target = (link) => scene.services[link.to]?.name ?? scene.resources[link.to]?.name ?? "?";
    const said = routes.map((link) => `${link.text ? `${link.text} → ` : ""}Service ${target(link)}`).join("; ");
    const title = titled(`Ingress ${ingress.name}: ${ingress.state}. ${said}. ${ingress.note ?? ""}`);
    const failed = ingress.look === "failed" || routes.some((link) => scene.resources[link.to]);
    const name = ruler.fit(ingress.name, w * 0.4, 14, 700);
    const nameX = x + 34 + ruler.width("Ingress ", 12.5);
    const room = w - (nameX - x) - ruler.width(name, 14, 700) - 24;
    const text = failed ? `${routes.filter((link) => scene.resources[link.to]).map(target).join(", ") || ingress.state} missing` : ingress.state || said;
    return make("g", { class: "k8-ingress-group", "data-uid": uid, tabindex: "0", role: "button", "aria-haspopup": "dialog" }, title,
      box(x, y, w, h, 8, `k8-ingress${failed ? " k8-missing" : ""}`), kindMark("Ingress", x + 18, y + h / 2),
      words(x + 32, y + 20, "Ingress", "k8-kind"), words(nameX, y + 20, name, "k8-title"),
      words(x + w - 12, y + 20, ruler.fit(text, room, 12), `k8-aside${failed ? " k8-warn" : ""}`, "end"));
  });
  return [...lines, ...boxes];
}

/** A crowd's card: how many, whose, and how many of each look, the worst first. */
function drawGroup(group, crowd, { x, y, w, h, compact }, ruler) {
  const order = ["failed", "not-ready", "starting", "terminating", "ghost", "running", "done"];
  const looks = order.filter((look) => crowd.looks?.[look]);
  const title = titled(`${crowd.count} Pods of ${crowd.kind} ${crowd.name}: ${looks.map((look) => `${crowd.looks[look]} ${LOOKS[look]}`).join(", ")}`);
  const number = `×${crowd.count}`;
  const parts = [title, box(x + 5, y - 4, w - 4, h, 10, "k8-card k8-behind"), box(x, y, w, h, 10, `k8-card k8-edge-${crowd.look}`)];
  const numberW = ruler.width(number, 15, 700);
  parts.push(words(x + 14, y + 22, number, "k8-title"),
    words(x + 22 + numberW, y + 22, ruler.fit(crowd.name, w - numberW - (compact ? 130 : 34), 13, 600, true), "k8-name k8-small-name"));
  if (compact) {
    const worst = looks[0] ?? crowd.look;
    const text = looks.length > 1 ? `${crowd.looks[worst]} ${LOOKS[worst]}` : LOOKS[worst];
    const width = ruler.width(text, 12.5, 600);
    parts.push(mark(worst, x + w - width - 22, y + 17, 5), words(x + w - 12, y + 21.5, text, "k8-word k8-count", "end"));
    group.replaceChildren(...parts);
    return;
  }
  let at = x + 21;
  let line = y + 40;
  for (const look of looks) {
    const text = `${crowd.looks[look]} ${LOOKS[look]}`;
    const width = ruler.width(text, 12.5, 600) + 34;
    if (at > x + 21 && at + width - 14 > x + w) { at = x + 21; line += 19; }
    if (line > y + h - 5) break;
    parts.push(mark(look, at, line, 5), words(at + 11, line + 4.5, ruler.fit(text, x + w - at - 18, 12.5, 600), "k8-word k8-count"));
    at += width;
  }
  group.replaceChildren(...parts);
}

/** What a selector and the endpoints do not agree on, said at the Pod. */
function drawMisses(scene, plan, ruler) {
  const taken = {};
  return Object.values(scene.mismatches ?? {}).flatMap((miss) => {
    const place = plan.pods[miss.pod], service = scene.services[miss.service];
    if (!place || !service) return [];
    const row = taken[miss.pod] = (taken[miss.pod] ?? -1) + 1;
    const title = titled(miss.why);
    const said = miss.kind === "no-endpoint" ? `? no endpoint of ${service.name}` : `not selected by ${service.name}`;
    const text = ruler.fit(said, place.w - (scene.pods[miss.pod].heir ? 54 : 18), 12, 600);
    const w = ruler.width(text, 12, 600) + 14;
    const x = place.x + 2;
    const y = place.y + place.h + 4 - 19 * row;
    return [make("g", { class: "k8-miss" }, title, box(x, y, w, 18, 9, "k8-label k8-miss-label"), words(x + 7, y + 13, text, "k8-aside k8-warn"))];
  });
}

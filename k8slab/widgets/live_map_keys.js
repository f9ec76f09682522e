// The map by keyboard alone: arrows go from Pod to Pod, Enter opens, Escape closes, / filters, + − 0 zoom.

class Keys {
  constructor(view) {
    this.view = view;
    view.root.addEventListener("keydown", (event) => this.key(event));
  }

  /** The notebook has shortcuts on these keys too; here they belong to the map. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.pressed(event)) event.preventDefault();
    else if (!["Enter", " "].includes(event.key) && !event.target.closest?.("input")) return;
    event.stopPropagation();
  }

  /** Act on a key. Returns whether it was the map's. */
  pressed(event) {
    const { key, target } = event;
    const typing = target.closest?.("input:not([type=checkbox])");
    if (key === "Escape") return this.escape();
    if (typing) return false;
    if (key === "+" || key === "=") return this.view.viewport.zoom(ZOOM.step) ?? true;
    if (event.shiftKey && key !== "/") return false;
    if (key === "-") return this.view.viewport.zoom(1 / ZOOM.step) ?? true;
    if (key === "0") return this.view.viewport.refit() ?? true;
    if (key === "/") return this.view.menu.toggle("filter", true) ?? true;
    const pod = target.closest?.(".k8-pod");
    const chosen = target.closest?.("[data-uid]");
    if (chosen && (key === "Enter" || key === " ")) return this.view.choose(chosen.dataset.uid) ?? true;
    if (pod && key.startsWith("Arrow")) return this.wander(pod.dataset.uid, key.slice(5)) ?? true;
    return false;
  }

  escape() {
    if (this.view.menu.open) return this.view.menu.escape();
    if (this.view.toolbar.uid !== null) {
      if (this.view.toolbar.reader.hidden) this.view.toolbar.close(true);
      else this.view.toolbar.reader.querySelector("button")?.click();
      return true;
    }
    if (this.view.menu.escape()) return true;
    if (this.view.past) return this.view.leaveHistory() ?? true;
    return false;
  }

  /** To the nearest Pod in a direction, by where it stands. */
  wander(uid, direction) {
    const [dx, dy] = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }[direction] ?? [0, 0];
    const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2];
    const [x, y] = middle(this.view.plan.pods[uid]);
    let best = null;
    for (const [other, place] of Object.entries(this.view.plan.pods)) {
      const [ox, oy] = middle(place);
      const along = (ox - x) * dx + (oy - y) * dy;
      const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      if (other !== uid && along > 4 && (!best || along + 2.5 * aside < best.cost)) best = { other, cost: along + 2.5 * aside };
    }
    if (!best) return;
    this.view.viewport.reveal(this.view.plan.pods[best.other]);
    const group = this.view.picture.groups.pods.get(best.other);
    group?.focus({ preventScroll: this.view.viewport.k !== 1 });
  }
}

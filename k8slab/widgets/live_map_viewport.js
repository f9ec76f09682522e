// Zoom and pan of the drawing, the whole screen and the whole width. What the learner moved stays as it is.

const ZOOM = { least: 0.4, most: 4, step: 1.25 };
const DRAG = 5;

class Viewport {
  constructor(root, canvas, world, changed) {
    this.root = root;
    this.canvas = canvas;
    this.world = world;
    this.changed = changed;
    this.node = html("div", "k8-view");
    this.node.append(world);
    canvas.append(this.node);
    this.width = this.height = this.room = this.across = 0;
    this.reset();
    this.node.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.node.addEventListener("pointerdown", (event) => this.press(event));
    this.node.addEventListener("click", (event) => this.afterDrag(event), true);
  }

  reset() {
    Object.assign(this, { k: this.fit, x: 0, y: 0, moved: false });
  }

  /** The zoom at which the whole drawing is seen; on a page, which scrolls, that is 1. */
  get fit() {
    return this.room && this.height ? Math.max(ZOOM.least, Math.min(this.across / this.width, this.room / this.height)) : 1;
  }

  /** A drawing of another size came; a learner's own zoom and place stay. */
  sized(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    if (!this.moved) this.reset();
    this.apply();
  }

  /** The width there is, and the height in full screen; 0 on a page. */
  setRoom(across, room) {
    if (room === this.room && across === this.across) return;
    this.across = across;
    this.room = room;
    if (!this.moved) this.reset();
    this.apply();
  }

  get shownHeight() {
    return this.room || this.height;
  }

  apply() {
    const within = (at, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
    this.x = within(this.x, this.width * this.k, this.across);
    this.y = this.height * this.k <= this.shownHeight ? 0 : within(this.y, this.height * this.k, this.shownHeight);
    const plain = this.k === 1 && !this.y && !this.x;
    this.node.classList.toggle("k8-zoomed", !plain);
    this.node.style.height = plain && !this.room ? "" : `${this.shownHeight}px`;
    this.world.style.transform = plain ? "" : `translate(${this.x.toFixed(2)}px, ${this.y.toFixed(2)}px) scale(${this.k.toFixed(4)})`;
    this.changed();
  }

  /** From a place in the drawing to one in the canvas. */
  project({ x, y, w, h }) {
    const { k } = this;
    return { x: x * k + this.x, y: y * k + this.y, w: w * k, h: h * k };
  }

  /** From a pointer to a place in the canvas, whatever the page's own zoom. */
  local(event) {
    const rect = this.node.getBoundingClientRect();
    const scale = rect.width / (this.across || rect.width);
    return [(event.clientX - rect.left) / scale, (event.clientY - rect.top) / scale, scale];
  }

  zoom(factor, at = [this.across / 2, this.shownHeight / 2]) {
    const k = Math.max(ZOOM.least, Math.min(ZOOM.most, this.k * factor));
    const snapped = Math.abs(k - 1) < 0.02 ? 1 : k;
    this.x = at[0] - ((at[0] - this.x) * snapped) / this.k;
    this.y = at[1] - ((at[1] - this.y) * snapped) / this.k;
    this.k = snapped;
    this.moved = true;
    this.apply();
  }

  refit() {
    this.reset();
    this.apply();
  }

  /** Only with Ctrl or ⌘: two fingers alone scroll the notebook. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 150), this.local(event));
  }

  press(event) {
    if (event.button !== 0 || !this.node.classList.contains("k8-zoomed")) return;
    const [startX, startY, scale] = [event.clientX, event.clientY, this.local(event)[2]];
    const { x, y } = this;
    this.dragged = false;
    const move = (next) => {
      const dx = next.clientX - startX, dy = next.clientY - startY;
      if (!this.dragged && Math.hypot(dx, dy) < DRAG) return;
      if (!this.dragged) this.node.setPointerCapture(event.pointerId);
      this.dragged = this.moved = true;
      this.x = x + dx / scale;
      this.y = y + dy / scale;
      this.apply();
    };
    const over = new AbortController();
    const end = () => over.abort();
    for (const [name, heard] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) {
      this.node.addEventListener(name, heard, { signal: over.signal });
    }
  }

  /** A drag ends in a click, which must not choose what lies under it. */
  afterDrag(event) {
    if (!this.dragged) return;
    this.dragged = false;
    event.stopPropagation();
    event.preventDefault();
  }

  /** Bring a place into sight, as the arrow keys wander. */
  reveal(place) {
    const { x, y, w, h } = this.project(place);
    if (!this.node.classList.contains("k8-zoomed")) return;
    const off = (at, size, room) => at < 8 ? 8 - at : at + size > room - 8 ? room - 8 - at - size : 0;
    this.x += off(x, w, this.across);
    this.y += off(y, h, this.shownHeight);
    this.apply();
  }
}

/** The width to arrange at so that the most of a screen is used: narrower is larger, wider needs fewer rows. */
function bestWidth(scene, across, room, kept) {
  let best = { width: across, scale: 0 };
  for (const factor of [1, 0.75, 0.85, 1.15, 1.35, 1.6, 1.9, 2.3]) {
    const width = Math.floor(across * factor);
    const scale = Math.min(across / width, room / arrange(scene, width, { ...kept }).height);
    if (scale > best.scale * 1.03) best = { width, scale };
  }
  return best.width;
}

/** The whole screen, for a projector. Escape leaves it, as the browser does it. */
async function toggleFullScreen(root) {
  if (document.fullscreenElement === root) return document.exitFullscreen();
  if (!root.requestFullscreen) throw new Error("this page does not allow it.");
  return root.requestFullscreen({ navigationUI: "hide" });
}

/** What scrolls the notebook; null elsewhere. */
function notebookPanel(root) {
  return root.closest(".jp-WindowedPanel-outer, .jp-Notebook, .jp-LinkedOutputView");
}

/** The whole width of the notebook's panel, whatever stands left of an output there. */
function setFullWidth(root, on) {
  const panel = notebookPanel(root);
  root.classList.remove("k8-full-width");
  root.style.marginLeft = root.style.width = "";
  for (let up = root.parentElement; up && up !== panel; up = up.parentElement) up.classList.toggle("k8-let-through", on && !!panel);
  if (!on || !panel) return;
  const left = root.getBoundingClientRect().left - panel.getBoundingClientRect().left;
  root.style.marginLeft = `${-left}px`;
  root.style.width = `${panel.clientWidth}px`;
  root.classList.add("k8-full-width");
}

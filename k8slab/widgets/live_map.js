// The live map: one view keeps its own copy of the scene, follows numbered changes, and asks when it sees a gap.
// The browser never writes a synced trait: it sends requests {op, uid, request} and gets answers to them.

const MEASURE = "k8slab-draw";
const MEASURES_KEPT = 1000;
const ASK_AGAIN = 2000; // ms: a question may lie behind a running cell, from before the kernel had a second thread

/** The uid of what an event happened on; undefined where that has none. */
const uidUnder = (event) => event.target.closest?.("[data-uid]")?.dataset.uid;

class MapView {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.root = html("div", "k8slab-map", "", { role: "group", "aria-label": "Live map of the cluster" });
    el.append(this.root);
    this.panels = buildPanels(this.root);
    this.news = new News();
    this.past = null;
    this.link = "live";
    this.channel = new Channel(model, (message) => this.hear(message));
    this.picture = new Picture(this);
    this.world = this.picture.world;
    this.viewport = new Viewport(this.root, this.panels.canvas, this.world, () => this.zoomed());
    this.menu = new Menu(this, this.panels.tools);
    this.keys = new Keys(this);
    this.toolbar = new Toolbar(this.panels.canvas, (...args) => this.channel.ask(...args), (uid, focus) => this.closed(uid, focus));
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
    this.resize = new ResizeObserver(() => this.measure());
    this.panelResize = new ResizeObserver(() => this.wide && !this.full && setFullWidth(this.root, true));
    this.resize.observe(this.root);
    this.resize.observe(this.panels.canvas);
    this.tick = setInterval(() => this.second(), 1000);
    this.root.addEventListener("focusin", (event) => { // a listener of its own would make the drawing a stop of Tab
      const pod = event.target.closest?.(".k8-pod");
      if (pod) this.picture.stopAt(pod.dataset.uid);
    });
    this.root.addEventListener("pointerdown", (event) => { this.pressed = uidUnder(event); });
    this.root.addEventListener("pointerup", (event) => this.released(event));
    this.root.addEventListener("click", (event) => this.clicked(event));
    for (const [name, on] of [["pointerover", true], ["pointerout", false]]) {
      this.world.addEventListener(name, (event) => this.hover(event, on));
    }
  }

  /** The only place that asks the page for sizes: drawing itself never makes it lay out anew. */
  measure() {
    const full = document.fullscreenElement === this.root;
    this.menu.wide.hidden = !notebookPanel(this.root);
    const { canvas } = this.panels;
    const width = Math.floor(canvas.clientWidth);
    const room = full ? Math.floor(canvas.clientHeight) : 0;
    this.rootWidth = Math.floor(this.root.clientWidth);
    if (width !== this.width || room !== this.room) this.news.all = true;
    Object.assign(this, { width, room });
    this.viewport.setRoom(width, room);
    this.draw();
  }

  load(picture) {
    this.scene = { ...emptyScene(), ...structuredClone(picture.scene ?? {}) };
    this.seq = picture.seq ?? 0;
    this.armed = picture.armed ?? true;
    this.reason = picture.reason ?? "";
    this.trouble = picture.trouble ?? "";
    this.clock(picture.moment ?? this.scene.moment ?? Date.now() / 1000);
    this.news.all = true;
    if (this.width === undefined) this.measure();
    else this.draw();
  }

  /** The kernel's clock, which need not be this machine's. */
  clock(moment) {
    this.offset = moment - performance.now() / 1000;
  }

  /** The scene that is drawn: the live one, or one of the past. */
  get drawn() {
    return this.past ?? this.scene;
  }

  now() {
    return this.past ? this.past.moment : performance.now() / 1000 + this.offset;
  }

  hear(message) {
    if (message.moment !== undefined) this.clock(message.moment);
    this.link = "live";
    this.confirmed = true;
    if (message.farewell) this.farewell = message.farewell;
    if (message.snapshot) {
      if (message.snapshot.seq >= this.seq) this.load(message.snapshot);
      this.asked = undefined;
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
    const start = performance.now();
    this.seq = message.seq;
    applyChanges(this.scene, message, this.past ? null : this.news);
    for (const name of ["armed", "reason", "trouble"]) if (message[name] !== undefined) this[name] = message[name];
    this.spent = (this.spent ?? 0) + performance.now() - start;
    this.soon();
  }

  /** Several batches within one frame are drawn once. A hidden tab paints no frame, so there a timer draws. */
  soon() {
    if (this.frame) return;
    const draw = () => { this.frame = null; this.draw(); };
    this.frame = document.hidden ? setTimeout(draw, 100) : requestAnimationFrame(draw);
  }

  askAgain() {
    if (performance.now() - this.asked < ASK_AGAIN) return;
    this.asked = performance.now();
    this.channel.ask("snapshot").then(() => { this.asked = undefined; });
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

  /** Draw the past instead of what is live, which is followed behind it: `history` as the kernel answered. */
  enterHistory(history) {
    this.toolbar.close(false);
    this.showPast(structuredClone(history.start));
    this.root.classList.add("k8-past");
    this.panels.history.hidden = false;
    this.menu.press(this.menu.history, true);
    this.replay = new Replay(this, history, this.panels.history);
  }

  /** Draw another whole scene of the past. */
  showPast(scene) {
    this.past = { ...emptyScene(), ...scene };
    this.news.all = true;
    this.soon();
  }

  leaveHistory() {
    if (!this.past) return;
    this.replay?.close?.();
    this.replay = this.past = null;
    this.root.classList.remove("k8-past");
    this.panels.history.hidden = true;
    this.panels.history.replaceChildren();
    this.menu.press(this.menu.history, false);
    this.news.all = true;
    this.draw();
  }

  draw() {
    if (this.gone || !(this.width >= 60)) return;
    const start = performance.now() - (this.spent ?? 0);
    this.spent = 0;
    const { news, panels } = this;
    const scene = this.drawn;
    this.ruler ??= new Ruler(this.root);
    if (news.all) {
      this.root.dataset.width = this.rootWidth;
      this.root.classList.toggle("k8-wide", this.rootWidth >= 900);
    }
    this.root.dataset.changes = scene.changes ?? 0;
    this.root.dataset.seq = this.seq;
    drawHeader(panels, scene, this.past ? "past" : this.link);
    if (news.any("limits")) drawLimits(panels, scene);
    if (news.all || news.scene) this.menu.drawLayers();
    if (news.any("components")) drawPlane(panels, scene);
    if (news.any("owners")) drawOwners(panels, scene);
    if (news.places || news.any("resources", "links")) drawResources(panels, scene, this.picture);
    if (news.all || news.places) this.chooseWidth(scene, news);
    this.picture.draw(scene, this.drawnWidth, news);
    this.plan = this.picture.plan;
    this.viewport.sized(this.plan.width, this.plan.height);
    this.menu.applyFilter();
    this.updateToolbar();
    if (news.all || news.scene) drawRecovery(panels, scene.recovery);
    if (news.all || news.story) drawStory(panels, scene.story);
    news.clear();
    if (!this.treeTimer) this.treeTimer = setTimeout(() => { this.treeTimer = null; drawTree(panels, this.drawn); }, 500);
    this.drawTrouble();
    if ((this.measures = (this.measures ?? 0) + 1) % MEASURES_KEPT === 0) performance.clearMeasures(MEASURE);
    performance.measure(MEASURE, { start, end: performance.now() });
  }

  /** On a page as wide as it is; on a whole screen so that all of it is seen as large as can be. */
  chooseWidth(scene, news) {
    if (this.viewport.moved && this.room) return;
    const width = this.room ? bestWidth(scene, this.width, this.room, this.picture.kept) : this.width;
    if (width !== this.drawnWidth) news.all = true;
    this.drawnWidth = width;
  }

  updateToolbar() {
    const chosen = this.toolbar.uid;
    if (chosen === null) return;
    const past = this.past && (this.replay?.reason ?? "This is the past.");
    this.toolbar.update(objectOf(this.drawn, chosen), this.drawn, this.armed && !past, past || this.reason);
    this.placeToolbar();
  }

  placeToolbar() {
    const { uid } = this.toolbar;
    const { pods, services, ingresses, nodes } = this.plan;
    const spot = pods[uid] ?? services[uid] ?? ingresses?.[uid] ?? nodes[uid];
    if (spot) this.toolbar.place(this.viewport.project(spot), this.width);
  }

  /** The viewport moved: what stands over the drawing follows it. */
  zoomed() {
    say(this.menu.level, `${Math.round(100 * this.viewport.k)} %`);
    if (this.toolbar?.uid != null) this.placeToolbar();
  }

  setMismatches(on) {
    this.picture.kept.mismatches = on;
    this.root.classList.toggle("k8-with-mismatches", on);
    this.news.all = true;
    this.draw();
  }

  setWide(on) {
    this.wide = on;
    setFullWidth(this.root, on);
    const panel = notebookPanel(this.root);
    if (panel) this.panelResize.observe(panel);
    this.menu.press(this.menu.wide, on);
  }

  screenChanged() {
    const full = document.fullscreenElement === this.root;
    this.root.classList.toggle("k8-full-screen", full);
    setFullWidth(this.root, this.wide && !full);
    this.menu.press(this.menu.screen, full);
    if (full !== this.full) this.viewport.reset();
    this.full = full;
    this.measure();
  }

  drawTrouble() {
    const known = this.panels.trouble;
    if (!this.trouble) {
      known?.remove();
      this.panels.trouble = null;
      return;
    }
    const note = known ?? html("div", "k8-trouble", "", { role: "alert" });
    say(note, this.trouble);
    if (!known) this.panels.stage.before(this.panels.trouble = note);
  }

  /** Count down what counts down; nothing else is touched. */
  second() {
    if (document.hidden || this.gone) return;
    for (const node of this.world.querySelectorAll("[data-grace-end]")) {
      say(node, `${graceLeft({ grace_end: Number(node.dataset.graceEnd) }, this.now())} s`);
    }
  }

  elementOf(uid) {
    return this.root.querySelector(`[data-uid="${CSS.escape(uid)}"]`);
  }

  choose(uid) {
    const each = objectOf(this.drawn, uid);
    if (!each) return;
    const element = this.elementOf(uid);
    this.elementOf(this.toolbar.uid ?? "")?.classList.remove("k8-chosen");
    element?.classList.add("k8-chosen");
    this.toolbar.open(uid, each, this.drawn);
    if (element instanceof HTMLElement) this.placeBeside(element);
    this.updateToolbar();
  }

  /** The toolbar of what stands around the drawing. */
  placeBeside(element) {
    const [own, canvas] = [element, this.panels.canvas].map((each) => each.getBoundingClientRect());
    const scale = canvas.width / this.width || 1;
    this.toolbar.place({ x: (own.left - canvas.left) / scale, y: (own.top - canvas.top) / scale, w: own.width / scale, h: own.height / scale }, this.width);
  }

  closed(uid, focus) {
    const element = this.elementOf(uid);
    element?.classList.remove("k8-chosen");
    if (focus) focusOn(element);
  }

  /** A redraw between press and release takes away what was pressed, and then no browser tells of a click. */
  released(event) {
    const uid = uidUnder(event);
    if (event.button !== 0 || event.pointerType === "touch" || uid === undefined || uid !== this.pressed) return;
    this.unclicked = setTimeout(() => this.gone || this.choose(uid), 0);
  }

  clicked(event) {
    clearTimeout(this.unclicked);
    const uid = uidUnder(event);
    if (uid !== undefined) this.choose(uid);
    else if (this.world.contains(event.target)) this.toolbar.close(false);
  }

  hover(event, on) {
    const pod = event.target.closest?.(".k8-pod")?.dataset.uid;
    if (pod) this.picture.hover(pod, on);
  }

  close() {
    this.gone = true;
    clearInterval(this.tick);
    clearTimeout(this.treeTimer);
    this.replay?.close?.();
    this.menu.close();
    this.resize.disconnect();
    this.panelResize.disconnect();
    this.channel.close();
    this.model.off("change:snapshot", this.snapshotChanged);
    setFullWidth(this.root, false);
    if (this.farewell) sayFarewell(this.el, this.farewell);
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const view = new MapView(model, el);
    return () => view.close();
  },
};

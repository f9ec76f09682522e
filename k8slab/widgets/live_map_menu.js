// The buttons of the header: layers, filter, history, zoom, width and screen.

const LAYERS = { ingress: "Ingress", volumes: "Volumes", configuration: "Configuration", limits: "Limits" };

function pressButton(text, title, heard, more = {}) {
  const button = html("button", "k8-tool", text, { type: "button", title, ...more });
  button.addEventListener("click", heard);
  return button;
}

class Menu {
  constructor(view, tools) {
    this.view = view;
    this.query = "";
    this.open = null;
    const popup = (name, label, hint, body) => {
      const id = `k8-${name}-${(serial += 1)}`;
      body.id = id;
      body.hidden = true;
      const button = pressButton(label, hint, () => this.toggle(name), { "aria-expanded": "false", "aria-controls": id });
      const holder = html("span", "k8-holder");
      holder.append(button, body);
      return { button, body, holder };
    };
    this.popups = { layers: popup("layers", "Layers", "What else is drawn", this.buildLayers()), filter: popup("filter", "Filter", "Grey out what does not match (/)", this.buildFilter()) };
    this.history = pressButton("History", "What happened before, drawn again", () => this.toggleHistory(), { "aria-pressed": "false" });
    this.wide = pressButton("Full width", "The full width of the notebook", () => view.setWide(!this.isPressed(this.wide)), { "aria-pressed": "false" });
    this.wide.classList.add("k8-tool-wide");
    this.screen = pressButton("Full screen", "Full screen, for a projector", () => this.goFullScreen(), { "aria-pressed": "false" });
    this.level = pressButton("100 %", "Fit the drawing (0)", () => view.viewport.refit());
    const zoom = html("span", "k8-zoom", "", { role: "group", "aria-label": "Zoom of the drawing" });
    zoom.append(pressButton("−", "Zoom out (−)", () => view.viewport.zoom(1 / ZOOM.step), { "aria-label": "Zoom out" }), this.level,
      pressButton("+", "Zoom in (+, or Ctrl and the wheel)", () => view.viewport.zoom(ZOOM.step), { "aria-label": "Zoom in" }));
    this.note = html("span", "k8-menu-note", "", { role: "status" });
    tools.append(this.note, this.popups.layers.holder, this.popups.filter.holder, this.history, zoom, this.wide, this.screen);
    this.outside = (event) => {
      if (this.open && !this.popups[this.open].holder.contains(event.target)) this.shut(false);
    };
    this.screenChanged = () => view.screenChanged();
    document.addEventListener("pointerdown", this.outside, true);
    document.addEventListener("fullscreenchange", this.screenChanged);
  }

  isPressed(button) {
    return button.getAttribute("aria-pressed") === "true";
  }

  press(button, on) {
    button.setAttribute("aria-pressed", String(on));
  }

  buildLayers() {
    const body = html("div", "k8-menu", "", { role: "group", "aria-label": "Layers" });
    this.boxes = {};
    const check = (name, text) => {
      const label = html("label", "k8-check");
      const input = html("input", "", "", { type: "checkbox", "data-layer": name });
      label.append(input, html("span", "", text));
      body.append(label);
      this.boxes[name] = input;
      return input;
    };
    for (const [name, text] of Object.entries(LAYERS)) {
      check(name, text).addEventListener("change", (event) => this.setLayer(name, event.target));
    }
    check("mismatches", "Selectors against endpoints").addEventListener("change", (event) => this.view.setMismatches(event.target.checked));
    this.layerNote = html("div", "k8-why", "", { role: "status" });
    body.append(this.layerNote);
    return body;
  }

  /** The kernel follows other kinds then; the box shows what was wanted until the scene says what is. */
  async setLayer(name, input) {
    input.setAttribute("aria-busy", "true");
    const answer = await this.view.channel.ask("layer", name, { verb: input.checked ? "on" : "off" },
      (text) => say(this.layerNote, text === "working" ? "" : text));
    input.removeAttribute("aria-busy");
    say(this.layerNote, answer.state === "done" ? "" : answer.text);
    if (answer.state !== "done") this.drawLayers();
  }

  drawLayers() {
    const layers = this.view.scene.layers ?? {};
    for (const name of Object.keys(LAYERS)) {
      const input = this.boxes[name];
      if (input.getAttribute("aria-busy") !== "true") input.checked = !!layers[name];
      input.disabled = layers[name] === undefined;
    }
  }

  buildFilter() {
    const body = html("div", "k8-menu k8-filter", "", { role: "search" });
    this.field = html("input", "", "", { type: "search", "aria-label": "Show only what matches", spellcheck: "false",
      autocomplete: "off", placeholder: "name, status, owner, node or kind" });
    this.field.addEventListener("input", () => this.setQuery(this.field.value));
    this.count = html("div", "k8-why", "", { role: "status" });
    body.append(this.field, this.count);
    return body;
  }

  setQuery(text) {
    this.query = text;
    this.applyFilter();
    this.popups.filter.button.classList.toggle("k8-active", !!text.trim());
  }

  /** Grey out what does not match; nothing is taken away and nothing moves. */
  applyFilter() {
    const { view } = this;
    const scene = view.drawn;
    const wanted = this.query.trim();
    const pods = Object.entries(scene.pods);
    if (!wanted && !this.filtered) {
      if (this.open === "filter") this.tell(0, pods.length);
      return;
    }
    this.filtered = !!wanted;
    const { groups, edges } = view.picture;
    const found = new Set();
    for (const [uid, pod] of pods) if (!wanted || matchesAll(filterText(pod, scene), wanted)) found.add(uid);
    for (const [uid, group] of groups.pods) group.classList.toggle("k8-dim", !found.has(uid));
    for (const { line, end } of edges.values()) {
      for (const node of [line, end]) node.classList.toggle("k8-dim", !found.has(line.dataset.pod));
    }
    view.picture.layers.heirs.classList.toggle("k8-dim", !!wanted);
    const lit = new Set(); // whose Pods match, matches
    for (const { service, pod } of Object.values(scene.edges)) if (found.has(pod)) lit.add(service);
    for (const uid of found) for (let up = scene.pods[uid].owner; up && !lit.has(up); up = scene.owners[up]?.owner) lit.add(up);
    for (const { from, to } of Object.values(scene.links)) if (found.has(from)) lit.add(to);
    const cards = (panel) => [...panel?.children ?? []].map((card) => [card.dataset.key, card]);
    for (const [name, own] of [["services", groups.services], ["owners", cards(view.panels.owners)], ["groups", groups.groups],
      ["resources", cards(view.panels.resources)]]) {
      for (const [uid, node] of own) {
        const { kind = "Service", name: called = "", node: on, looks = {}, state = "" } = scene[name][uid] ?? {};
        const text = [kind, called, state, scene.nodes[on]?.name ?? "", ...Object.keys(looks).map((look) => LOOKS[look] ?? look)].join(" ");
        node.classList.toggle("k8-dim", !!wanted && !lit.has(uid) && !matchesAll(text.toLowerCase(), wanted));
      }
    }
    this.tell(found.size, pods.length);
  }

  /** What the filter found, in its popup and, while it is closed, beside the buttons. */
  tell(matching, all) {
    const text = this.query.trim() ? `${matching} of ${all} match` : "";
    say(this.count, text || "Others are greyed out; nothing moves.");
    say(this.note, this.open === "filter" ? "" : text);
  }

  toggle(name, on = this.open !== name) {
    this.shut(false);
    if (!on) return;
    this.open = name;
    const { button, body } = this.popups[name];
    body.hidden = false;
    button.setAttribute("aria-expanded", "true");
    focusOn(body.querySelector("input:not(:disabled)"));
    this.applyFilter();
  }

  shut(focus) {
    if (!this.open) return;
    const { button, body } = this.popups[this.open];
    body.hidden = true;
    button.setAttribute("aria-expanded", "false");
    this.open = null;
    if (focus) focusOn(button);
    this.applyFilter();
  }

  /** Escape clears the filter first, and closes then. Returns whether there was something to do. */
  escape() {
    if (this.query && this.open !== "layers") {
      this.field.value = "";
      this.setQuery("");
    } else if (this.open) {
      this.shut(true);
    } else {
      return false;
    }
    return true;
  }

  async toggleHistory() {
    const { view } = this;
    if (view.past) {
      view.leaveHistory();
      return;
    }
    if (this.history.getAttribute("aria-busy") === "true") return;
    this.history.setAttribute("aria-busy", "true");
    const answer = await view.channel.ask("history", "", {}, (text) => say(this.note, text === "working" ? "" : text));
    this.history.removeAttribute("aria-busy");
    say(this.note, answer.state === "done" ? "" : answer.text);
    if (answer.state === "done" && answer.history) view.enterHistory(await unpackHistory(answer.history));
  }

  goFullScreen() {
    toggleFullScreen(this.view.root).catch((error) => say(this.note, `Not in full screen: ${error.message}`));
  }

  close() {
    document.removeEventListener("pointerdown", this.outside, true);
    document.removeEventListener("fullscreenchange", this.screenChanged);
  }
}

/** The words of a Pod that the filter looks at. */
function filterText(pod, scene) {
  const owner = scene.owners[pod.owner] ?? {};
  const above = scene.owners[owner.owner] ?? {};
  return ["pod", pod.name, pod.status, LOOKS[pod.look] ?? "", owner.kind, owner.name, above.kind, above.name,
    scene.nodes[pod.node]?.name ?? "waiting"].join(" ").toLowerCase();
}

function matchesAll(text, query) {
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

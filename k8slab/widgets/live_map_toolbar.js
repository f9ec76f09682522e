// The toolbar of whatever is chosen, and the reader for logs, events and YAML. Real buttons; the kernel decides.

const READING = { logs: "Logs", events: "Events", yaml: "YAML" };
const VERBS = {
  kill: "Kill", force_kill: "Force kill", crash: "Crash container", ...READING, cordon: "Cordon", uncordon: "Uncordon", drain: "Drain",
  power_off: "Power off", power_on: "Power on", scale: "Set", restart: "Restart", stop_component: "Stop", start_component: "Start",
};
const MILD = new Set(["cordon", "uncordon", "power_on", "scale", "restart", "start_component"]);
const SECTION_KINDS = { pods: "Pod", nodes: "Node", services: "Service", components: "Component", owners: "", resources: "" };

/** What has a uid, with its kind and section. */
function objectOf(scene, uid) {
  for (const [section, kind] of Object.entries(SECTION_KINDS)) {
    const each = scene[section]?.[uid];
    if (each) return { name: uid, ...each, kind: kind || each.kind, section, uid };
  }
  return null;
}

function verbsOf({ section, kind, state }) {
  const look = ["events", "yaml"];
  if (section === "pods") return [["kill", "force_kill"], ["logs", ...look]];
  if (section === "nodes") return [["cordon", "uncordon", "drain"], ["power_off", "power_on"], look];
  if (section === "components") return [["stop_component", "start_component"]];
  if (state === "missing") return [];
  if (section !== "owners") return [look];
  return [["scale"].filter(() => /^(Depl|Repl|Stat)/.test(kind)).concat(/^(Depl|Stat|Daem)/.test(kind) ? "restart" : []), look];
}

/** What a verb does to a Pod and what will come back, in the scene's own facts. What it does to others the kernel says. */
function lessonOf(verb, pod, scene, container) {
  const owner = scene.owners[pod.owner];
  const whose = owner && `${owner.kind} ${owner.name}`;
  if (verb === "crash") return `Only the program in ${container} ends. Its kubelet starts it again in place: same Pod, restarts + 1.`;
  if (verb !== "kill" && verb !== "force_kill") return "";
  const back = !owner ? "Nothing owns it: it will NOT come back." : owner.wants ? `${whose} will create another.` : `${whose} wants none: none will come.`;
  const alone = Object.values(scene.edges).filter((edge) => edge.pod === pod.uid && edge.state === "ready" && scene.services[edge.service]?.ready === 1);
  const nobody = alone.map((edge) => ` Service ${scene.services[edge.service].name} will have nobody${owner ? " until then" : ""}.`).join("");
  return (verb === "kill" ? "SIGTERM, then its grace period to finish. " : "The API forgets it at once; its process is killed, unfinished. ") + back + nobody;
}

/** Why a verb would do nothing now; empty where it would do something. */
function idle(verb, { status = "", look, state, ready }) {
  if (look === "terminating" && verb === "kill") return "It is terminating already; Force kill does not wait for its grace period.";
  const off = status.includes("SchedulingDisabled");
  return { cordon: off, uncordon: !off, power_on: ready, stop_component: state === "stopped", start_component: state === "running" }[verb] ? "asleep" : "";
}

class Toolbar {
  constructor(stage, ask, closed) {
    Object.assign(this, { stage, ask, closed, uid: null, lines: new Map() });
    this.node = html("div", "k8-toolbar", "", { role: "dialog", tabindex: "-1" });
    this.reader = html("section", "k8-reader");
    this.toast = html("div", "k8-toast", "", { role: "status" });
    this.node.hidden = this.reader.hidden = this.toast.hidden = true;
    stage.append(this.node, this.reader, this.toast);
  }

  open(uid, each, scene) {
    Object.assign(this, { uid, each, scene, name: each.name, called: `${each.kind === "Pod" ? "pod" : each.kind} ${each.name}`, field: null });
    this.lines.clear();
    this.node.setAttribute("aria-label", `${each.kind} ${each.name}`);
    const head = this.head(each.name, `the toolbar of ${this.called}`, () => this.close(true), each.kind === "Pod" ? "" : each.kind);
    const rows = verbsOf(each).filter((verbs) => verbs.length).map((verbs) => {
      const row = html("div", "k8-buttons");
      for (const verb of verbs) row.append(...(verb === "scale" ? this.stepper() : []), this.button(verb));
      return row;
    });
    this.containers = (each.section === "pods" ? each.containers ?? [] : []).slice(0, 4).map(({ name }) => {
      const text = html("span", "k8-why");
      const row = html("div", "k8-buttons k8-container");
      row.append(text, this.button("crash", name));
      if (each.containers.length > 1) row.append(this.button("logs", name));
      return { name, text, row };
    });
    this.lesson = html("div", "k8-lesson", "", { role: "status" });
    this.why = html("div", "k8-why");
    this.line = html("code", "k8-command", "", { tabindex: "0", "aria-label": "The line that does the same" });
    this.status = html("div", "k8-status", "", { role: "status", "aria-live": "polite" });
    const danger = each.section === "pods" ? rows.splice(0, 1) : [];
    this.node.replaceChildren(head, ...danger, ...this.containers.map(({ row }) => row), ...rows, this.lesson, this.why, this.line, this.status);
    this.node.hidden = false;
    const first = verbsOf(each).flat()[0];
    if (first) this.command(first, "");
    focusOn(this.node); // not on Kill: a second Enter must not kill
  }

  head(title, what, heard, kind = "") {
    const head = html("div", "k8-toolbar-head");
    const close = html("button", "k8-close", "×", { type: "button", "aria-label": `Close ${what}` });
    close.addEventListener("click", heard);
    if (kind) head.append(html("span", "k8-owner-kind", kind));
    head.append(html("strong", "k8-name", title), close);
    return head;
  }

  stepper() {
    const field = this.field = html("input", "k8-replicas", "", { type: "number", min: 0, max: 500, value: this.each.wants, "aria-label": `Replicas of ${this.called}` });
    const changed = () => this.command("scale", "");
    field.addEventListener("input", changed);
    const step = (way, text) => {
      const button = html("button", "k8-step-button", text, { type: "button", "aria-label": `Replicas of ${this.called}: ${text} 1` });
      button.addEventListener("click", () => changed(field[way]()));
      return button;
    };
    return [step("stepDown", "−"), field, step("stepUp", "+")];
  }

  button(verb, container = "") {
    const said = `${VERBS[verb]}${container && ` ${verb === "logs" ? "of " : ""}${container}`}`;
    const label = verb === "scale" ? `Set the replicas of ${this.called}` : `${said} ${READING[verb] || container ? "of " : ""}${this.called}`;
    const button = html("button", READING[verb] ? "k8-plain" : `k8-act${MILD.has(verb) ? "" : " k8-danger"}`, said,
      { type: "button", "aria-label": label, "data-verb": verb });
    button.addEventListener("click", () => this.act(button, verb, container));
    for (const name of ["focus", "mouseenter"]) button.addEventListener(name, () => this.command(verb, container));
    return button;
  }

  /** What goes with a verb's request. */
  more(verb, container) {
    return { container, value: verb === "scale" ? this.field.value : "" };
  }

  async command(verb, container) {
    const uid = this.uid;
    const more = this.more(verb, container);
    const key = this.wanted = `${verb} ${container} ${more.value}`;
    this.taught = [verb, container];
    say(this.lesson, lessonOf(verb, this.each, this.scene, container));
    if (!this.lines.has(key)) {
      this.lines.set(key, "");
      const answer = await this.ask("command", uid, { verb, ...more });
      if (this.uid !== uid) return;
      if (answer.state === "done") this.lines.set(key, /^(\$|lab)/.test(answer.text) ? answer.text : `$ ${answer.text}`);
      else this.lines.delete(key);
    }
    const [line, lesson] = (this.lines.get(key) ?? "").split("  # ");
    if (this.wanted !== key || !line) return;
    say(this.line, line);
    if (lesson) say(this.lesson, lesson);
  }

  async act(button, verb, container) {
    if (button.getAttribute("aria-busy") === "true") return;
    const uid = this.uid;
    const more = this.more(verb, container);
    button.setAttribute("aria-busy", "true"); // not disabled: that would lose the focus
    const answer = await this.ask(verb, uid, more, (text) => {
      if (this.uid === uid) this.tell(text === "working" ? `${VERBS[verb]}: working` : text, "waiting");
    });
    button.removeAttribute("aria-busy");
    if (answer.state === "done" && READING[verb]) {
      if (this.uid === uid) this.tell("", "");
      this.read(`${VERBS[verb]} of ${container || this.name}`, answer.text, button);
    } else if (answer.state === "done") {
      // Out of the way: what happens next happens right beside it.
      const line = this.uid === uid && this.lines.get(`${verb} ${container} ${more.value}`);
      if (this.uid === uid) this.close(true);
      this.show((line || "").split("  # ")[0], answer.text || "done");
    } else if (this.uid === uid) {
      this.tell(answer.text || "done", "bad");
      this.wake();
    } else {
      this.show("", answer.text); // what took long is said where nobody waits for it any more
    }
  }

  /** What was done, for some seconds, where nothing else is drawn. */
  show(line, text) {
    clearTimeout(this.fading);
    this.toast.replaceChildren(html("code", "", line), html("span", "", text));
    this.toast.hidden = false;
    this.fading = setTimeout(() => { this.toast.hidden = true; }, 8000);
  }

  tell(text, tone) {
    this.status.className = `k8-status k8-status-${tone}`;
    say(this.status, text);
  }

  read(title, text, button) {
    const shut = () => { this.reader.hidden = true; focusOn(button); };
    const head = this.head(title, title, shut);
    this.reader.setAttribute("aria-label", title);
    this.reader.replaceChildren(head, html("pre", "", text || "(empty)", { tabindex: "0" }));
    this.reader.hidden = false;
    focusOn(head.lastChild);
  }

  /** Follow what is chosen: what may be pressed now, and why not. */
  update(each, scene, armed, reason) {
    if (this.uid === null) return;
    Object.assign(this, { gone: !each || each.look === "ghost", each: each ?? this.each, scene, armed, reason });
    if (this.each.section === "pods") say(this.lesson, lessonOf(this.taught[0], this.each, scene, this.taught[1]));
    this.wake();
  }

  wake() {
    const { each, gone } = this;
    const focused = document.activeElement; // a button that falls asleep must not take Escape with it
    let why = gone ? `This ${each.kind} is gone.` : this.armed ? "" : this.reason || "The buttons wait.";
    for (const button of this.node.querySelectorAll(".k8-act")) {
      const said = idle(button.dataset.verb, each);
      button.disabled = gone || !this.armed || !!said;
      if (said !== "asleep") why ||= said;
    }
    for (const { name, text } of this.containers) {
      const now = (each.containers ?? []).find((one) => one.name === name);
      say(text, now ? `${name}: ${now.state}${now.restarts ? `, restarted ${now.restarts}×` : ""}` : "");
    }
    if (this.node.contains(focused) && focused.disabled) focusOn(this.node);
    say(this.why, why || (each.state === "missing" ? `${each.state}: ${each.note}` : ""));
  }

  place(spot, width) {
    if (this.uid === null || !spot) return;
    const w = Math.min(340, width - 16);
    const right = spot.x + spot.w + 12;
    const left = spot.x - w - 12;
    const x = right + w <= width - 8 ? right : left >= 8 ? left : Math.max(8, Math.min(width - w - 8, spot.x));
    const beside = right + w <= width - 8 || left >= 8;
    this.node.style.width = `${w}px`;
    this.node.style.left = `${x}px`;
    this.node.style.top = `${Math.max(4, beside ? spot.y - 10 : spot.y + spot.h + 10)}px`;
  }

  close(focus) {
    const uid = this.uid;
    this.uid = null;
    this.node.hidden = this.reader.hidden = true;
    if (uid !== null) this.closed(uid, focus);
  }
}

// The toolbar of a selected Pod, and the reader for its logs, events and YAML. Real buttons; the kernel decides.

const KILLING = new Set(["kill", "force_kill", "crash"]);
const VERBS = {
  kill: "Kill", force_kill: "Force kill", crash: "Crash", logs: "Logs", events: "Events", yaml: "YAML",
};
const SPOKEN = {
  kill: "Kill pod", force_kill: "Force kill pod", logs: "Logs of pod", events: "Events of pod", yaml: "YAML of pod",
};

class Toolbar {
  constructor(stage, ask, closed) {
    this.stage = stage;
    this.ask = ask;
    this.closed = closed;
    this.uid = null;
    this.lines = new Map();
    this.node = html("div", "k8-toolbar", "", { role: "dialog", tabindex: "-1" });
    this.node.hidden = true;
    this.reader = html("section", "k8-reader");
    this.reader.hidden = true;
    this.toast = html("div", "k8-toast", "", { role: "status" });
    this.toast.hidden = true;
    stage.append(this.node, this.reader, this.toast);
  }

  open(uid, pod) {
    this.uid = uid;
    this.name = pod.name;
    this.lines.clear();
    this.node.setAttribute("aria-label", `Pod ${pod.name}`);
    const head = html("div", "k8-toolbar-head");
    const close = html("button", "k8-close", "×", { type: "button", "aria-label": `Close the toolbar of pod ${pod.name}` });
    close.addEventListener("click", () => this.close(true));
    head.append(html("strong", "k8-name", pod.name), close);
    const danger = html("div", "k8-buttons");
    danger.append(this.button("kill"), this.button("force_kill"));
    for (const each of (pod.containers ?? []).slice(0, 4)) danger.append(this.button("crash", each.name));
    const reading = html("div", "k8-buttons");
    reading.append(this.button("logs"), this.button("events"), this.button("yaml"));
    this.why = html("div", "k8-why");
    this.line = html("code", "k8-command", "", { tabindex: "0", "aria-label": "The kubectl line that does the same" });
    this.status = html("div", "k8-status", "", { role: "status", "aria-live": "polite" });
    this.node.replaceChildren(head, danger, reading, this.why, this.line, this.status);
    this.node.hidden = false;
    this.command("kill", "");
    this.node.focus({ preventScroll: true }); // not on Kill: a second Enter must not kill
  }

  button(verb, container = "") {
    const name = this.name;
    const crash = verb === "crash";
    const label = crash ? `Crash container ${container} of pod ${name}` : `${SPOKEN[verb]} ${name}`;
    const text = crash ? `Crash container ${container}` : VERBS[verb];
    const button = html("button", KILLING.has(verb) ? "k8-danger" : "k8-plain", text,
      { type: "button", "aria-label": label, "data-verb": verb });
    button.addEventListener("click", () => this.act(button, verb, container));
    for (const name of ["focus", "mouseenter"]) button.addEventListener(name, () => this.command(verb, container));
    return button;
  }

  async command(verb, container) {
    const uid = this.uid;
    const key = `${verb} ${container}`;
    this.wanted = key;
    if (!this.lines.has(key)) {
      this.lines.set(key, "");
      const answer = await this.ask("command", uid, { verb, container });
      if (this.uid !== uid) return;
      if (answer.state === "done") this.lines.set(key, answer.text);
      else this.lines.delete(key);
    }
    const text = this.lines.get(key);
    if (this.wanted === key && text) say(this.line, text.startsWith("$") ? text : `$ ${text}`);
  }

  async act(button, verb, container) {
    if (button.getAttribute("aria-busy") === "true") return;
    const uid = this.uid;
    button.setAttribute("aria-busy", "true"); // not disabled: that would lose the focus
    const answer = await this.ask(verb, uid, { container }, (text) => {
      if (this.uid === uid) this.tell(text, "waiting");
    });
    button.removeAttribute("aria-busy");
    if (answer.state === "done" && !KILLING.has(verb)) {
      if (this.uid === uid) this.tell("", "");
      this.read(`${VERBS[verb]} of ${this.name}`, answer.text, button);
      return;
    }
    if (this.uid !== uid) return;
    if (answer.state === "done") {
      // Out of the way: what happens next happens right beside the Pod.
      const line = this.lines.get(`${verb} ${container}`);
      this.close(true);
      this.show(line ? `$ ${line.replace(/^\$ /, "")}` : "", answer.text || "done");
      return;
    }
    this.tell(answer.text || "done", "bad");
    this.wake();
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
    const head = html("div", "k8-toolbar-head");
    const close = html("button", "k8-close", "×", { type: "button", "aria-label": `Close ${title}` });
    close.addEventListener("click", () => { this.reader.hidden = true; button?.focus({ preventScroll: true }); });
    head.append(html("strong", "", title), close);
    this.reader.setAttribute("aria-label", title);
    const body = html("pre", "", text || "(empty)", { tabindex: "0" });
    this.reader.replaceChildren(head, body);
    this.reader.hidden = false;
    close.focus({ preventScroll: true });
  }

  /** Follow the Pod's state: what may be pressed now, and why not. */
  update(pod, armed, reason) {
    if (this.uid === null) return;
    this.pod = pod;
    this.armed = armed;
    this.reason = reason;
    this.wake();
  }

  wake() {
    const pod = this.pod;
    const gone = !pod || pod.look === "ghost";
    const going = pod?.look === "terminating";
    const focused = document.activeElement; // a button that falls asleep must not take Escape with it
    for (const button of this.node.querySelectorAll(".k8-danger")) {
      const verb = button.dataset.verb;
      button.disabled = gone || !this.armed || (going && verb === "kill");
    }
    if (this.node.contains(focused) && focused.disabled) this.node.focus({ preventScroll: true });
    const why = gone ? "This Pod is gone." : !this.armed ? this.reason || "The Kill buttons wait." :
      going ? "It is terminating already; Force kill does not wait for its grace period." : "";
    say(this.why, why);
  }

  place(spot, width) {
    if (this.uid === null || !spot) return;
    const w = Math.min(320, width - 16);
    const right = spot.x + spot.w + 12;
    const left = spot.x - w - 12;
    const x = right + w <= width - 8 ? right : left >= 8 ? left : Math.max(8, Math.min(width - w - 8, spot.x));
    const beside = right + w <= width - 8 || left >= 8;
    this.node.style.width = `${w}px`;
    this.node.style.left = `${x}px`;
    this.node.style.top = `${beside ? Math.max(4, spot.y - 10) : spot.y + spot.h + 10}px`;
  }

  close(focus) {
    const uid = this.uid;
    this.uid = null;
    this.node.hidden = true;
    this.reader.hidden = true;
    if (uid !== null) this.closed(uid, focus);
  }
}

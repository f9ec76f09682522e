// History: the recorded past drawn by the same map; scrubbed, played at speed, stepped from event to event.

const KEYFRAME = 100;
const QUIET_STRETCH = 5;
const SPEEDS = [0.25, 1, 4, 16];
const TONES = {
  you: ["what you did", "M-5-5H5L0 5z"], good: ["something became ready", "M0-4a4 4 0 1 0 .01 0z"],
  bad: ["something failed", "M-4-4L4 4M4-4L-4 4"], plain: ["another step", "M0-5V5"],
};
const TONE_ORDER = ["plain", "good", "bad", "you"];

/** A history as the kernel sends it: gzipped where it comes as bytes. */
async function unpackHistory(data) {
  if (!data?.buffer) return data;
  const bytes = new Uint8Array(data.buffer, data.byteOffset ?? 0, data.byteLength);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

function copyScene(scene) {
  const copy = { ...scene };
  for (const name of SECTIONS) copy[name] = { ...scene[name] };
  return copy;
}

function toneMark(tone, size = 12) {
  const svg = make("svg", { width: size, height: size, viewBox: "-6 -6 12 12", "aria-hidden": "true" });
  svg.append(make("path", { d: TONES[tone][1], class: `k8-tone-mark k8-tone-mark-${tone}` }));
  return svg;
}

class Replay {
  /** `history.lasting`: there is nothing to go back to, as in an exported page. */
  constructor(view, history, holder) {
    this.view = view;
    this.lasting = !!history.lasting;
    this.frames = history.frames;
    this.start = history.start.moment;
    this.end = Math.max(this.start + 0.01, history.until ?? 0, this.frames.at(-1)?.moment ?? 0);
    this.events = this.frames.flatMap((frame) => {
      const tones = Object.values(frame.set?.story ?? {}).map((line) => TONE_ORDER.indexOf(line.tone));
      return tones.length ? [{ moment: frame.moment, tone: TONE_ORDER[Math.max(0, ...tones)] }] : [];
    });
    this.keys = [copyScene({ ...emptyScene(), ...history.start })];
    this.seen = view.scene.changes ?? 0;
    this.index = -1;
    this.lost = (history.missing ?? 0) + (history.cut ?? 0);
    this.reason = this.lasting ? "This is a recording: no cluster is behind it." : "This is the past; go back to live to act.";
    this.build();
    holder.append(this.bar);
    view.panels.badge.removeAttribute("role");
    this.bar.addEventListener("keydown", (event) => this.key(event));
    // After the mouse, space and arrows are the past's again; whoever came by Tab stays where they are.
    this.bar.addEventListener("click", (event) => { if (event.detail) focusOn(this.slider); });
    this.resize = new ResizeObserver(() => this.drawMarks());
    this.resize.observe(this.track);
    this.seek(this.lasting ? this.start : this.end);
    if (!this.lasting) focusOn(this.slider);
  }

  build() {
    const button = pressButton;
    const line = (...parts) => { const made = html("div", "k8-replay-line"); made.append(...parts); return made; };
    this.bar = html("div", "k8-replay", "", { role: "group", "aria-label": "History" });
    this.clock = html("strong", "k8-replay-clock");
    this.after = html("span", "k8-replay-after");
    this.note = html("span", "k8-replay-note", "", { role: "status" });
    this.slider = html("input", "k8-replay-slider", "", { type: "range", min: "0", max: (this.end - this.start).toFixed(2), step: "0.01",
      "aria-label": "Recorded time" });
    this.slider.addEventListener("input", () => { this.pause(); this.seek(this.start + Number(this.slider.value)); });
    this.marks = make("svg", { class: "k8-replay-marks", height: 14, "aria-hidden": "true" });
    this.track = html("div", "k8-replay-track");
    this.track.append(this.marks, this.slider);
    this.playButton = button("Play", "Play or pause (space)", () => this.playing ? this.pause() : this.play());
    this.speeds = html("span", "k8-replay-speeds", "", { role: "group", "aria-label": "Speed" });
    for (const speed of SPEEDS) {
      this.speeds.append(button(`${speed}×`, `${speed} times as fast as it happened`, () => this.setSpeed(speed)));
    }
    const legend = html("span", "k8-replay-legend");
    for (const [tone, [word]] of Object.entries(TONES)) legend.append(toneMark(tone), html("span", "", word));
    const head = line(this.clock, this.after, this.note);
    if (!this.lasting) head.append(button("Back to live", "What is so now", () => this.view.leaveHistory()));
    this.bar.append(head, this.track, line(button("◂ Previous", "Previous event (left arrow)", () => this.step(-1)), this.playButton,
      button("Next ▸", "Next event (right arrow)", () => this.step(1)), this.speeds, legend));
    this.setSpeed(1);
    this.timer = setInterval(() => this.tell(), 500);
    if (this.lost) {
      this.bar.append(html("div", "k8-replay-lost", `Only the latest part is here: ${this.lost} earlier changes are no longer kept.`));
    }
  }

  setSpeed(speed) {
    this.speed = speed;
    [...this.speeds.children].forEach((each, i) => each.setAttribute("aria-pressed", String(SPEEDS[i] === speed)));
  }

  /** Marks where something happened; of those that fall together the one that matters most. */
  drawMarks() {
    const width = this.track.clientWidth;
    const places = new Map();
    for (const { moment, tone } of this.events) {
      const x = 8 + Math.round(((moment - this.start) / (this.end - this.start)) * (width - 16) / 5) * 5;
      if (TONE_ORDER.indexOf(tone) >= TONE_ORDER.indexOf(places.get(x) ?? "plain")) places.set(x, tone);
    }
    this.marks.setAttribute("width", width);
    this.marks.replaceChildren(...[...places].map(([x, tone]) =>
      make("path", { d: TONES[tone][1], transform: `translate(${x} 7)`, class: `k8-tone-mark k8-tone-mark-${tone}` })));
  }

  /** How many frames have happened at a moment. */
  countAt(moment) {
    let low = 0;
    let high = this.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].moment <= moment + 0.0005) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  keyframe(number) {
    while (this.keys.length <= number) {
      const scene = copyScene(this.keys.at(-1));
      const from = (this.keys.length - 1) * KEYFRAME;
      for (const frame of this.frames.slice(from, from + KEYFRAME)) applyChanges(scene, frame);
      this.keys.push(scene);
    }
    return copyScene(this.keys[number]);
  }

  seek(moment) {
    const { view } = this;
    this.moment = Math.min(this.end, Math.max(this.start, moment));
    const index = this.countAt(this.moment);
    if (index !== this.index) {
      if (this.index < 0 || index < this.index || index > this.index + KEYFRAME) {
        const key = Math.floor(index / KEYFRAME);
        const scene = this.keyframe(key);
        for (const frame of this.frames.slice(key * KEYFRAME, index)) applyChanges(scene, frame);
        view.showPast(scene);
      } else {
        for (const frame of this.frames.slice(this.index, index)) applyChanges(view.past, frame, view.news);
        view.soon();
      }
      this.index = index;
    }
    view.past.moment = this.moment;
    view.second();
    this.tell();
  }

  /** Say where in time this is; the header's badge says it too. */
  tell() {
    const { view, moment } = this;
    const scene = view.past;
    const when = tenths(moment);
    const kill = scene.story.findLast((line) => line.tone === "you")?.moment ?? scene.recovery?.start;
    const after = kill === undefined || kill > moment + 0.001 ? `${(moment - this.start).toFixed(1)} s after its start`
      : `${(moment - kill).toFixed(2)} s after the kill`;
    const state = scene.badge?.state ?? "live";
    const since = (view.scene.changes ?? 0) - this.seen;
    say(this.clock, when);
    say(this.after, after);
    say(this.note, [state === "live" ? "" : `the picture was ${state} then`, this.passed,
      this.lasting || since < 1 ? "" : `${since} change${since === 1 ? "" : "s"} since`].filter(Boolean).join(" · "));
    this.slider.value = (moment - this.start).toFixed(2);
    this.slider.setAttribute("aria-valuetext", `${when}, ${after}`);
    drawHeader(view.panels, scene, "past");
  }

  step(direction) {
    this.pause();
    const found = direction > 0 ? this.events.find((event) => event.moment > this.moment + 0.001)
      : this.events.findLast((event) => event.moment < this.moment - 0.001);
    this.seek(found?.moment ?? (direction > 0 ? this.end : this.start));
  }

  play() {
    if (this.moment >= this.end) this.seek(this.start);
    this.playing = true;
    say(this.playButton, "Pause");
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      let next = this.moment + Math.min(0.25, Math.max(0, now - before) / 1000) * this.speed;
      before = now;
      const coming = this.frames[this.index]?.moment ?? this.end;
      if (coming - next > QUIET_STRETCH) {
        const jump = coming - 1;
        this.passed = `passed over ${(jump - next).toFixed(0)} s in which nothing changed`;
        next = jump;
      }
      this.seek(next);
      if (this.moment >= this.end) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    this.playing = false;
    this.passed = "";
    say(this.playButton, "Play");
  }

  /** Space plays and pauses, arrows go from event to event. */
  key(event) {
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const own = event.target.closest?.("input:not(.k8-replay-slider), [role=dialog], [role=log], .k8-pod");
    if (own || (event.key === " " && event.target.closest?.("button"))) return;
    const jumps = { ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1), " ": () => this.playButton.click(),
      Home: () => { this.pause(); this.seek(this.start); }, End: () => { this.pause(); this.seek(this.end); } };
    if (!jumps[event.key]) return;
    jumps[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.pause();
    clearInterval(this.timer);
    this.resize.disconnect();
    this.view.panels.badge.setAttribute("role", "status");
  }
}

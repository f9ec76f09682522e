// Requests to the kernel and their answers. Where a request stands is said within 50 ms.

let serial = 0;

class Channel {
  constructor(model, heard) {
    this.model = model;
    this.heard = heard;
    this.pending = new Map();
    this.direct = false;
    this.listener = (message, buffers) => this.receive(buffers?.length ? { ...message, history: buffers[0] } : message);
    model.on("msg:custom", this.listener);
  }

  status() {
    return this.model.widget_manager?.kernel?.status ?? "unknown";
  }

  receive(message) {
    if (message.request !== undefined) {
      const waiting = this.pending.get(message.request);
      if (waiting) {
        if (message.direct !== undefined) this.direct = message.direct;
        waiting(message);
      }
    }
    this.heard(message);
  }

  /** Ask the kernel; `told` hears within 50 ms where the request stands. */
  ask(op, uid = "", more = {}, told = () => {}) {
    const request = `${Date.now().toString(36)}-${(serial += 1)}-${Math.random().toString(36).slice(2, 8)}`;
    let resolve;
    const promise = new Promise((done) => { resolve = done; });
    const late = setTimeout(() => told(this.standing()), 25);
    this.pending.set(request, (answer) => {
      clearTimeout(late);
      if (answer.state === "working") {
        told("working");
        return;
      }
      this.pending.delete(request);
      resolve(answer);
    });
    this.model.send({ op, uid, request, ...more });
    return promise;
  }

  standing() {
    const status = this.status();
    if (status === "dead" || status === "terminating") return "not sent: the kernel is not running";
    if (status === "busy" && !this.direct) return "queued: a cell is running";
    return "sent: waiting for the kernel";
  }

  close() {
    this.model.off("msg:custom", this.listener);
    this.pending.clear();
  }
}

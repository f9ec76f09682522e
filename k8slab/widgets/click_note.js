// Says within 50 ms where a click on one of a panel's controls stands, while the kernel has not heard it.
function render({ model, el }) {
  const note = document.createElement("div");
  note.className = "k8-click-note";
  note.setAttribute("role", "status");
  el.append(note);
  let late = null;
  const heard = () => {
    clearTimeout(late);
    late = null;
    note.textContent = "";
  };
  const standing = () => {
    const status = model.widget_manager?.kernel?.status ?? "unknown";
    if (status === "dead" || status === "terminating") return "not sent: the kernel is not running";
    return status === "busy" && !model.get("direct") ? "queued: a cell is running" : "sent: waiting for the kernel";
  };
  const pressed = (event) => {
    const control = event.target.closest?.("button, select");
    if (!control || control.closest(".k8slab-panel") !== panel || (event.type === "click") !== (control.tagName === "BUTTON")) return;
    clearTimeout(late);
    late = setTimeout(() => { note.textContent = standing(); }, 25);
  };
  let panel = null;
  // plotly follows the window's width only, and draws itself too narrow before it stands on the page.
  const fit = () => { if (panel.querySelector(".js-plotly-plot .main-svg")) window.dispatchEvent(new Event("resize")); };
  const widths = new ResizeObserver(fit);
  const drawn = new MutationObserver(() => {
    if (!panel.querySelector(".js-plotly-plot .main-svg")) return;
    drawn.disconnect();
    fit();
  });
  const find = setInterval(() => {
    panel = el.closest(".k8slab-panel");
    if (!panel) return;
    clearInterval(find);
    widths.observe(panel);
    drawn.observe(panel, { childList: true, subtree: true });
    panel.addEventListener("click", pressed, true);
    panel.addEventListener("change", pressed, true);
  }, 20);
  model.on("msg:custom", heard);
  return () => {
    clearInterval(find);
    clearTimeout(late);
    widths.disconnect();
    drawn.disconnect();
    model.off("msg:custom", heard);
    panel?.removeEventListener("click", pressed, true);
    panel?.removeEventListener("change", pressed, true);
  };
}

export default { render };

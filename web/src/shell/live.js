// Live pages without a framework: server-sent events, and pieces of the page swapped by id.
"use strict";

// The server renders; we only put what it sends in place.
for (const region of document.querySelectorAll("[data-events]")) {
  let held = null;
  const swap = (html) => {
    // Never under somebody's hands.
    const focused = document.activeElement;
    if (region.contains(focused) && focused.matches("input, textarea")) { held = html; return; }
    const open = new Set([...region.querySelectorAll("details[open][id]")].map((d) => d.id));
    region.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  };
  region.addEventListener("focusout", () => setTimeout(() => {
    if (held !== null) { const html = held; held = null; swap(html); }
  }));
  const source = new EventSource(region.dataset.events);
  source.addEventListener("page", (event) => swap(event.data));
  source.addEventListener("title", (event) => { document.title = event.data; });
  source.addEventListener("end", () => source.close());
}

// The log: follow while the reader is at the bottom, count what is new while not.
for (const log of document.querySelectorAll("[data-log]")) {
  const follow = document.getElementById("follow");
  let unseen = 0;
  const atBottom = () =>
    innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
  const toBottom = () => scrollTo(0, document.documentElement.scrollHeight);
  const show = () => {
    follow.hidden = unseen === 0;
    follow.textContent = unseen === 1 ? "1 new line ↓" : `${unseen} new lines ↓`;
  };
  follow.addEventListener("click", () => { unseen = 0; show(); toBottom(); });
  addEventListener("scroll", () => { if (atBottom()) { unseen = 0; show(); } }, { passive: true });
  const source = new EventSource(log.dataset.log);
  source.addEventListener("log", (event) => {
    const wasAtBottom = atBottom();
    // A data field cannot end with a line's end, so it is put back here.
    log.insertAdjacentHTML("beforeend", event.data + (event.data.endsWith("\n") ? "" : "\n"));
    if (wasAtBottom) toBottom();
    else { unseen += event.data.split("\n").length; show(); }
  });
  source.addEventListener("end", () => { source.close(); location.reload(); });
}

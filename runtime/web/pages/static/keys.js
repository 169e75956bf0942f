// Keys: the next failure, the last successful step, search, rows, zoom, and what keys there are.

const ROWS = "#live tbody a, .row a, .event > summary";

function typing(event) {
  return event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey;
}

function after(places, current, step) {
  const place = places.indexOf(current);
  if (place < 0) return places[step > 0 ? 0 : places.length - 1];
  return places[(place + step + places.length) % places.length];
}

function come(element) {
  if (!element) return;
  // first: what is told beside the element is told where it then is
  element.scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
}

function nextFailure() {
  const found = [...document.querySelectorAll("[data-failure] a, .event.bad > summary, .jobs .badge.bad")];
  const places = found.map((one) => one.closest("tr")?.querySelector("a") ?? one);
  come(after(places, document.activeElement, 1));
}

function lastSuccess() {
  const link = document.querySelector('[data-jump="last"]');
  const event = link && document.getElementById(link.hash.slice(1));
  if (!event) {
    link?.focus();
    return;
  }
  event.open = true;
  come(event.querySelector("summary"));
}

const ACTIONS = {
  f: nextFailure,
  l: lastSuccess,
  "/": () => come(document.querySelector("[data-search]")),
  j: () => come(after([...document.querySelectorAll(ROWS)], document.activeElement, 1)),
  k: () => come(after([...document.querySelectorAll(ROWS)], document.activeElement, -1)),
  "?": () => document.getElementById("keys").showModal(),
};

export function listenToKeys() {
  const hint = document.querySelector("[data-keys]");
  if (hint) {
    hint.hidden = false;
    hint.addEventListener("click", ACTIONS["?"]);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      leave(event);
      return;
    }
    if (typing(event)) return;
    const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const action = ACTIONS[event.key] ?? (button && (() => button.click()));
    if (!action) return;
    event.preventDefault();
    action();
  });
}

// Out of a field first, then out of the task beside the timeline, back to its row.
function leave(event) {
  if (event.target.closest("input, select")) {
    event.target.blur();
    return;
  }
  const close = document.querySelector("[data-close]");
  if (!close || event.target.closest("dialog")) return;
  const row = document.querySelector('.row a[aria-current="true"]');
  close.click();
  if (row) document.addEventListener("shown", () => document.getElementById(row.id)?.focus(), { once: true });
}

// Keyboard shortcuts: next failure, last successful step, search, rows, zoom, and a list of the keys.

const ROWS = "#live tbody a, .row a, .event > summary";

function isTyping(event) {
  return event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey;
}

function neighbour(elements, current, step) {
  const index = elements.indexOf(current);
  if (index < 0) return elements[step > 0 ? 0 : elements.length - 1];
  return elements[(index + step + elements.length) % elements.length];
}

function focusOn(element) {
  if (!element) return;
  // scroll first: the tooltip is placed at the row's position when it gets the focus
  element.scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
}

function focusNextFailure() {
  const failures = [...document.querySelectorAll("[data-failure] a, .event.bad > summary, .jobs .badge.bad")];
  const targets = failures.map((failure) => failure.closest("tr")?.querySelector("a") ?? failure);
  focusOn(neighbour(targets, document.activeElement, 1));
}

function focusLastSuccess() {
  const link = document.querySelector('[data-jump="last"]');
  const event = link && document.getElementById(link.hash.slice(1));
  if (!event) {
    link?.focus();
    return;
  }
  event.open = true;
  focusOn(event.querySelector("summary"));
}

const ACTIONS = {
  f: focusNextFailure,
  l: focusLastSuccess,
  "/": () => focusOn(document.querySelector("[data-search]")),
  j: () => focusOn(neighbour([...document.querySelectorAll(ROWS)], document.activeElement, 1)),
  k: () => focusOn(neighbour([...document.querySelectorAll(ROWS)], document.activeElement, -1)),
  "?": () => document.getElementById("keys").showModal(),
};

export function listenToKeys() {
  const button = document.querySelector("[data-keys]");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", ACTIONS["?"]);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      onEscape(event);
      return;
    }
    if (isTyping(event)) return;
    const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const action = ACTIONS[event.key] ?? (control && (() => control.click()));
    if (!action) return;
    event.preventDefault();
    action();
  });
}

// Escape leaves a field first; otherwise it closes the task panel and returns to the task's row.
function onEscape(event) {
  if (event.target.closest("input, select")) {
    event.target.blur();
    return;
  }
  const close = document.querySelector("[data-close]");
  if (!close || event.target.closest("dialog")) return;
  const row = document.querySelector('.row a[aria-current="true"]');
  close.click();
  if (row) document.addEventListener("page-updated", () => document.getElementById(row.id)?.focus(), { once: true });
}

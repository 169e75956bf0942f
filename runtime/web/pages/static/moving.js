// From one state of the page to another: its address says which, and the server draws it.

import { morph } from "./morph.js";
import { showTimes } from "./times.js";

let latest = 0;

// Shows the page at `address`. Answers whether it could be had; a later call goes before an earlier one.
export async function show(address) {
  const turn = ++latest;
  let text;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/login")) location.reload();
    if (!answer.ok) return false;
    text = await answer.text();
  } catch {
    return false;
  }
  if (turn !== latest) return true;
  const page = new DOMParser().parseFromString(text, "text/html");
  const [here, there] = [document.getElementById("live"), page.getElementById("live")];
  if (!here || !there) return false;
  document.title = page.title;
  morph(here, there);
  showTimes(document);
  document.dispatchEvent(new CustomEvent("shown"));
  return true;
}

export function refresh() {
  return show(location.href);
}

export async function go(address) {
  history.pushState(null, "", address);
  if (!(await show(address))) location.assign(address);
  const panel = document.getElementById("task");
  if (panel && new URL(address, location.href).searchParams.has("task")) panel.focus({ preventScroll: innerWidth > 960 });
}

export function listenToLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('#live a[href^="?"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-filter]");
    if (!form) return;
    event.preventDefault();
    const said = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    go(`?${said}`);
  });
  addEventListener("popstate", () => show(location.href));
  addEventListener("hashchange", openTarget);
  openTarget();
}

function openTarget() {
  const target = /^#e\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (target) {
    target.open = true;
    target.scrollIntoView({ block: "center" });
  }
}

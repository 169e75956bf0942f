// Moves between views of a page. The address holds the view; the server renders it.

import { morph } from "./morph.js";
import { showTimes } from "./times.js";

let latestLoad = 0;

// Loads the page at `address` and shows it. Returns whether it could be loaded; a later call overrides an earlier one.
export async function load(address) {
  const number = ++latestLoad;
  let text;
  try {
    const response = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (response.redirected && new URL(response.url).pathname.endsWith("/login")) location.reload();
    if (!response.ok) return false;
    text = await response.text();
  } catch {
    return false;
  }
  if (number !== latestLoad) return true;
  const page = new DOMParser().parseFromString(text, "text/html");
  const [shown, wanted] = [document.getElementById("live"), page.getElementById("live")];
  if (!shown || !wanted) return false;
  document.title = page.title;
  morph(shown, wanted);
  showTimes(document);
  document.dispatchEvent(new CustomEvent("page-updated"));
  return true;
}

export function refresh() {
  return load(location.href);
}

export async function navigate(address) {
  history.pushState(null, "", address);
  if (!(await load(address))) location.assign(address);
  const panel = document.getElementById("task");
  if (panel && new URL(address, location.href).searchParams.has("task")) panel.focus({ preventScroll: innerWidth > 960 });
}

export function listenToLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('#live a[href^="?"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    navigate(link.getAttribute("href"));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-filter]");
    if (!form) return;
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    navigate(`?${query}`);
  });
  addEventListener("popstate", () => load(location.href));
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

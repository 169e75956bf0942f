// The pointer on the timeline: a tooltip for what is under it, and dragging to zoom.

import { navigate } from "./navigation.js";
import { duration, preciseTime } from "./times.js";

const BAR_LABELS = { queued: "Queued", running: "Running", waiting: "Waiting for a retry" };
const MIN_DRAG_PX = 8;

export function listenToPointer() {
  document.addEventListener("pointermove", (event) => onPointerMove(event));
  document.addEventListener("pointerdown", (event) => onPointerDown(event));
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".row a");
    if (row) showTooltip(rowText(row), row.getBoundingClientRect());
    else hideTooltip();
  });
}

function onPointerMove(event) {
  const target = event.target.closest?.("[data-begin], [data-at]");
  if (target) showTooltip(target.dataset.begin ? barText(target) : markerText(target), target.getBoundingClientRect());
  else if (!document.activeElement?.closest(".row a")) hideTooltip();
}

function barText({ dataset }) {
  const [begin, end] = [new Date(dataset.begin), dataset.end ? new Date(dataset.end) : null];
  const worker = dataset.worker ? ` on ${dataset.worker}` : "";
  const length = `${duration((end ?? new Date()) - begin)}${end ? "" : " so far"}`;
  return `${BAR_LABELS[dataset.kind]} ${length}, attempt ${dataset.attempt}${worker}\nfrom ${preciseTime(begin)}`;
}

function markerText({ dataset }) {
  return `${dataset.text}\n${preciseTime(new Date(dataset.at))}`;
}

function rowText(row) {
  return `${row.getAttribute("aria-label")}\nPress Enter to open`;
}

function showTooltip(text, area) {
  const tip = document.getElementById("tip");
  if (!tip) return;
  tip.textContent = text;
  tip.hidden = false;
  const maxLeft = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(area.left, maxLeft))}px`;
  const above = area.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 8 ? above : area.bottom + 6}px`;
}

function hideTooltip() {
  const tip = document.getElementById("tip");
  if (tip) tip.hidden = true;
}

// Dragging over the lanes selects a range; releasing zooms to it.
function onPointerDown(event) {
  const lanes = event.target.closest?.("[data-drag]");
  const axis = lanes?.querySelector(".ticks");
  if (!axis || event.button || event.pointerType === "touch") return;
  const area = axis.getBoundingClientRect();
  if (event.clientX < area.left) return;
  const selection = document.createElement("div");
  selection.className = "selection";
  const begin = event.clientX;

  const onMove = (move) => {
    if (Math.abs(move.clientX - begin) < MIN_DRAG_PX) return;
    move.preventDefault();
    if (!selection.isConnected) lanes.append(selection);
    selection.style.left = `${Math.min(begin, move.clientX) - lanes.getBoundingClientRect().left}px`;
    selection.style.width = `${Math.abs(move.clientX - begin)}px`;
  };
  const onUp = (up) => {
    document.removeEventListener("pointermove", onMove);
    if (!selection.isConnected) return;
    selection.remove();
    // the click that ends a drag must not open a task
    addEventListener("click", (click) => click.preventDefault() ?? click.stopPropagation(), { capture: true, once: true });
    zoomTo([begin, up.clientX].sort((a, b) => a - b).map((x) => (x - area.left) / area.width));
  };
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerup", onUp, { once: true });
  lanes.addEventListener("dragstart", (start) => start.preventDefault(), { once: true });
}

function zoomTo(fractions) {
  const { first, last, origin } = document.getElementById("chart").dataset;
  const [begin, length, zero] = [Date.parse(first), Date.parse(last) - Date.parse(first), Date.parse(origin)];
  const zoom = fractions.map((fraction) => ((begin + fraction * length - zero) / 1000).toFixed(3)).join("~");
  const address = new URL(location.href);
  address.searchParams.set("zoom", zoom);
  navigate(`?${address.searchParams}`);
}

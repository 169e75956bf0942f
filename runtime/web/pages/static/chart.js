// The pointer on the timeline: what is under it, and a stretch to be zoomed to.

import { go } from "./moving.js";
import { exact, span } from "./times.js";

const WORDS = { queued: "Queued", running: "Running", waiting: "Waiting for a retry" };
const SHORTEST = 8;

export function listenToPointer() {
  document.addEventListener("pointermove", (event) => hover(event));
  document.addEventListener("pointerdown", (event) => drag(event));
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".row a");
    if (row) tell(rowWords(row), row.getBoundingClientRect());
    else hide();
  });
}

function hover(event) {
  const found = event.target.closest?.("[data-begin], [data-at]");
  if (found) tell(found.dataset.begin ? barWords(found) : markWords(found), found.getBoundingClientRect());
  else if (!document.activeElement?.closest(".row a")) hide();
}

function barWords({ dataset }) {
  const [begin, end] = [new Date(dataset.begin), dataset.end ? new Date(dataset.end) : null];
  const worker = dataset.worker ? ` on ${dataset.worker}` : "";
  const length = `${span((end ?? new Date()) - begin)}${end ? "" : " so far"}`;
  return `${WORDS[dataset.kind]} ${length}, attempt ${dataset.attempt}${worker}\nfrom ${exact(begin)}`;
}

function markWords({ dataset }) {
  return `${dataset.words}\n${exact(new Date(dataset.at))}`;
}

function rowWords(row) {
  return `${row.getAttribute("aria-label")}\nEnter opens it`;
}

function tell(text, place) {
  const tip = document.getElementById("tip");
  if (!tip) return;
  tip.textContent = text;
  tip.hidden = false;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(place.left, room))}px`;
  const above = place.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 8 ? above : place.bottom + 6}px`;
}

function hide() {
  const tip = document.getElementById("tip");
  if (tip) tip.hidden = true;
}

// Dragged over the lanes: the stretch between both ends fills the timeline.
function drag(event) {
  const lanes = event.target.closest?.("[data-drag]");
  const track = lanes?.querySelector(".ticks");
  if (!track || event.button || event.pointerType === "touch") return;
  const area = track.getBoundingClientRect();
  if (event.clientX < area.left) return;
  const mark = document.createElement("div");
  mark.className = "selection";
  const begin = event.clientX;

  const move = (now) => {
    if (Math.abs(now.clientX - begin) < SHORTEST) return;
    now.preventDefault();
    if (!mark.isConnected) lanes.append(mark);
    mark.style.left = `${Math.min(begin, now.clientX) - lanes.getBoundingClientRect().left}px`;
    mark.style.width = `${Math.abs(now.clientX - begin)}px`;
  };
  const stop = (now) => {
    document.removeEventListener("pointermove", move);
    if (!mark.isConnected) return;
    mark.remove();
    // the click that ends a drag opens no task
    addEventListener("click", (click) => click.preventDefault() ?? click.stopPropagation(), { capture: true, once: true });
    zoomTo([begin, now.clientX].sort((a, b) => a - b).map((x) => (x - area.left) / area.width));
  };
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", stop, { once: true });
  lanes.addEventListener("dragstart", (start) => start.preventDefault(), { once: true });
}

function zoomTo(places) {
  const { first, last, born } = document.getElementById("chart").dataset;
  const [begin, length, zero] = [Date.parse(first), Date.parse(last) - Date.parse(first), Date.parse(born)];
  const zoom = places.map((place) => ((begin + place * length - zero) / 1000).toFixed(3)).join("~");
  const address = new URL(location.href);
  address.searchParams.set("zoom", zoom);
  go(`?${address.searchParams}`);
}

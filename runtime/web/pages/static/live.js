// News from the server. A stream that is lost says so, and for how long, then catches up from the last event it had.

import { refresh } from "./moving.js";
import { span } from "./times.js";

const SILENT = 15_000;
const BETWEEN = 300;
const GROWING = 2_000;
const AGAIN = 1_000;

let lostSince = null;
let heard = 0;
let last = "";
let stream = null;
let asked = false;
let busy = false;

export function enliven() {
  const live = document.getElementById("live");
  if (live?.dataset.live) {
    listen(live);
    setInterval(watch, 1_000);
    setInterval(grow, GROWING);
  } else if (live?.dataset.refresh) {
    setInterval(poll, live.dataset.refresh * 1_000);
    setInterval(tell, 1_000);
    setTimeout(poll, 1_500);
  }
}

function listen(live) {
  const address = new URL((document.body.dataset.root ?? "") + live.dataset.live, location.href);
  if (last) address.searchParams.set("after", last);
  stream = new EventSource(address);
  heard = Date.now();
  stream.addEventListener("open", found);
  stream.addEventListener("beat", hear);
  for (const kind of ["told", "changed"]) {
    stream.addEventListener(kind, (event) => {
      hear();
      last = event.lastEventId || last;
      news();
    });
  }
  stream.addEventListener("error", () => {
    lose();
    // where the server refused, the browser does not try again by itself
    if (stream.readyState === EventSource.CLOSED) again();
  });
}

function again() {
  stream.close();
  setTimeout(() => listen(document.getElementById("live")), AGAIN);
}

function hear() {
  heard = Date.now();
  if (lostSince !== null) found();
}

function found() {
  heard = Date.now();
  const was = lostSince;
  lostSince = null;
  tell();
  if (was !== null) news();
}

function lose() {
  lostSince ??= Date.now();
  tell();
}

function watch() {
  if (lostSince === null && Date.now() - heard > SILENT) {
    lose();
    again();
  }
  tell();
}

function tell() {
  const sign = document.getElementById("stream");
  const text = lostSince === null ? "Live" : `Connection lost for ${span(Date.now() - lostSince)}; trying again`;
  sign.hidden = false;
  sign.classList.toggle("lost", lostSince !== null);
  if (sign.textContent !== text) sign.textContent = text;
}

// Any number of events at once are one look at the page.
async function news() {
  asked = true;
  if (busy) return;
  busy = true;
  while (asked) {
    asked = false;
    await refresh();
    await new Promise((done) => setTimeout(done, BETWEEN));
  }
  busy = false;
}

// Bars of what runs grow.
function grow() {
  if (lostSince === null && !document.hidden && document.getElementById("live").dataset.open === "yes") news();
}

async function poll() {
  if (await refresh()) found();
  else lose();
  age();
}

// Green only where the check is young: a page that hears nothing must not go on saying that all is well.
function age() {
  const health = document.getElementById("health");
  if (!health || lostSince === null) return;
  if (Date.now() - lostSince > health.dataset.goodFor * 1_000) {
    health.className = "plate verdict warn";
    health.querySelector("[data-verdict]").textContent = "Not known: nothing has been heard";
  }
}

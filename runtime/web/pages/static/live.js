// Live updates. A lost connection is shown with how long it has lasted; then the stream resumes after its last event.

import { refresh } from "./navigation.js";
import { duration } from "./times.js";

const SILENCE_MS = 15_000;
const REFRESH_INTERVAL_MS = 300;
const RUNNING_REFRESH_MS = 2_000;
const RECONNECT_MS = 1_000;

let lostSince = null;
let lastMessageAt = 0;
let lastEventId = "";
let stream = null;
let refreshRequested = false;
let refreshing = false;

export function startLiveUpdates() {
  const live = document.getElementById("live");
  if (live?.dataset.live) {
    connect(live);
    setInterval(checkConnection, 1_000);
    setInterval(refreshRunning, RUNNING_REFRESH_MS);
  } else if (live?.dataset.refresh) {
    setInterval(poll, live.dataset.refresh * 1_000);
    setInterval(showConnection, 1_000);
    setTimeout(poll, 1_500);
  }
}

function connect(live) {
  const address = new URL((document.body.dataset.root ?? "") + live.dataset.live, location.href);
  if (lastEventId) address.searchParams.set("after", lastEventId);
  stream = new EventSource(address);
  lastMessageAt = Date.now();
  stream.addEventListener("open", onConnected);
  stream.addEventListener("heartbeat", onMessage);
  for (const kind of ["job_event", "changed"]) {
    stream.addEventListener(kind, (event) => {
      onMessage();
      lastEventId = event.lastEventId || lastEventId;
      requestRefresh();
    });
  }
  stream.addEventListener("error", () => {
    onLost();
    // after a refusal the browser does not reconnect by itself
    if (stream.readyState === EventSource.CLOSED) reconnect();
  });
}

function reconnect() {
  stream.close();
  setTimeout(() => connect(document.getElementById("live")), RECONNECT_MS);
}

function onMessage() {
  lastMessageAt = Date.now();
  if (lostSince !== null) onConnected();
}

function onConnected() {
  lastMessageAt = Date.now();
  const wasLost = lostSince !== null;
  lostSince = null;
  showConnection();
  if (wasLost) requestRefresh();
}

function onLost() {
  lostSince ??= Date.now();
  showConnection();
}

function checkConnection() {
  if (lostSince === null && Date.now() - lastMessageAt > SILENCE_MS) {
    onLost();
    reconnect();
  }
  showConnection();
}

function showConnection() {
  const status = document.getElementById("stream");
  const text = lostSince === null ? "Live" : `Connection lost for ${duration(Date.now() - lostSince)}; reconnecting`;
  status.hidden = false;
  status.classList.toggle("lost", lostSince !== null);
  if (status.textContent !== text) status.textContent = text;
}

// Events that arrive together cause one refresh.
async function requestRefresh() {
  refreshRequested = true;
  if (refreshing) return;
  refreshing = true;
  while (refreshRequested) {
    refreshRequested = false;
    await refresh();
    await new Promise((done) => setTimeout(done, REFRESH_INTERVAL_MS));
  }
  refreshing = false;
}

// Bars of running tasks grow without an event.
function refreshRunning() {
  if (lostSince === null && !document.hidden && document.getElementById("live").dataset.active === "yes") requestRefresh();
}

async function poll() {
  if (await refresh()) onConnected();
  else onLost();
  expireHealth();
}

// A page that cannot reach the server must not keep saying that the system is healthy.
function expireHealth() {
  const health = document.getElementById("health");
  if (!health || lostSince === null) return;
  if (Date.now() - lostSince > health.dataset.maxAge * 1_000) {
    health.className = "card banner warn";
    health.querySelector("[data-status]").textContent = "Unknown: the server does not respond";
  }
}

// Every page works without scripts. They add local times, live updates, keyboard shortcuts, zooming and copying.

import { startLiveUpdates } from "./live.js";
import { listenToKeys } from "./keys.js";
import { listenToLinks } from "./navigation.js";
import { listenToPointer } from "./chart.js";
import { listenToCopyButtons } from "./clipboard.js";
import { showTimes } from "./times.js";

showTimes(document);
setInterval(() => showTimes(document, "age"), 1000);
listenToLinks();
listenToKeys();
listenToPointer();
listenToCopyButtons();
startLiveUpdates();

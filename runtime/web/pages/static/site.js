// Every page works without this. What it adds: times in the reader's zone, live news, keys, zooming, copying.

import { enliven } from "./live.js";
import { listenToKeys } from "./keys.js";
import { listenToLinks } from "./moving.js";
import { listenToPointer } from "./chart.js";
import { listenToCopying } from "./copying.js";
import { showTimes } from "./times.js";

showTimes(document);
setInterval(() => showTimes(document, "age"), 1000);
listenToLinks();
listenToKeys();
listenToPointer();
listenToCopying();
enliven();

// Times in the reader's zone, local or UTC. The title shows the other zone and how long ago it was.

const formats = {};

function clockFormat(zone, precise) {
  const key = `${zone}${precise}`;
  formats[key] ??= new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    ...(precise ? { fractionalSecondDigits: 3 } : {}),
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  });
  return formats[key];
}

function day(at, zone) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", ...(zone === "utc" ? { timeZone: "UTC" } : {}) }).format(at);
}

function shownZone() {
  return document.getElementById("live")?.dataset.tz ?? "local";
}

export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 10) return seconds < 0.1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function preciseTime(at) {
  const zone = shownZone();
  const other = zone === "utc" ? "local" : "utc";
  const name = { utc: "UTC", local: "local" };
  const age = Date.now() - at;
  const relative = age >= 0 ? `${duration(age)} ago` : `in ${duration(-age)}`;
  return `${day(at, zone)} ${clockFormat(zone, true).format(at)} ${name[zone]}\n${clockFormat(other, true).format(at)} ${name[other]} · ${relative}`;
}

// `only` limits the update to one kind of time: ages change every second.
export function showTimes(root, only) {
  const zone = shownZone();
  for (const element of root.querySelectorAll(only ? `time[data-show="${only}"]` : "time[datetime]")) {
    const at = new Date(element.dateTime);
    const text = {
      clock: () => clockFormat(zone).format(at),
      full: () => `${day(at, zone)} ${clockFormat(zone, true).format(at)} ${zone === "utc" ? "UTC" : "local"}`,
      age: () => `${duration(Date.now() - at)} ago`,
    }[element.dataset.show]();
    if (element.textContent !== text) element.textContent = text;
    element.title = preciseTime(at);
  }
  if (only) return;
  for (const tick of root.querySelectorAll("[data-datetime]")) {
    tick.textContent = clockFormat(zone, tick.dataset.precise === "yes").format(new Date(tick.dataset.datetime));
  }
}

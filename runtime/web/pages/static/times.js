// Times as the reader wants them: local or UTC, the other one and "how long ago" on hover.

const clocks = {};

function clock(zone, precise) {
  const key = `${zone}${precise}`;
  clocks[key] ??= new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    ...(precise ? { fractionalSecondDigits: 3 } : {}),
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  });
  return clocks[key];
}

function day(at, zone) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", ...(zone === "utc" ? { timeZone: "UTC" } : {}) }).format(at);
}

export function zone() {
  return document.getElementById("live")?.dataset.tz ?? "local";
}

export function span(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 10) return seconds < 0.1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function exact(at) {
  const shown = zone();
  const other = shown === "utc" ? "local" : "utc";
  const name = { utc: "UTC", local: "local" };
  const away = Date.now() - at;
  const relative = away >= 0 ? `${span(away)} ago` : `in ${span(-away)}`;
  return `${day(at, shown)} ${clock(shown, true).format(at)} ${name[shown]}\n${clock(other, true).format(at)} ${name[other]} · ${relative}`;
}

// `only` names the kind that is shown anew: ages grow, other times stay.
export function showTimes(root, only) {
  for (const element of root.querySelectorAll(only ? `time[data-show="${only}"]` : "time[datetime]")) {
    const at = new Date(element.dateTime);
    const text = {
      clock: () => clock(zone()).format(at),
      full: () => `${day(at, zone())} ${clock(zone(), true).format(at)} ${zone() === "utc" ? "UTC" : "local"}`,
      age: () => `${span(Date.now() - at)} ago`,
    }[element.dataset.show]();
    if (element.textContent !== text) element.textContent = text;
    element.title = exact(at);
  }
  if (only) return;
  for (const tick of root.querySelectorAll("[data-datetime]")) {
    tick.textContent = clock(zone(), tick.dataset.precise === "yes").format(new Date(tick.dataset.datetime));
  }
}

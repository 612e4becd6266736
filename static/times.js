// Times in the zone and the language of whoever looks; those with data-relative as "3 minutes ago".
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const today = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return relative.format(Math.round(seconds / size), unit);
}

function show(element) {
  const moment = new Date(element.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const isToday = moment.toDateString() === new Date().toDateString();
  const text = "relative" in element.dataset ? ago(moment) : (isToday ? today : whole).format(moment);
  if (element.textContent !== text) element.textContent = text;
  element.title = whole.format(moment);
}

export function showTimes(root) {
  root.querySelectorAll("time[datetime]").forEach(show);
}

setInterval(() => document.querySelectorAll("time[data-relative]").forEach(show), 10_000);

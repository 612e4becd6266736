// Keeps the parts of a page up to date that name their topics: <section data-live="emails configs" id="…">.
//
// The server tells by one stream which topics have changed. The page is then fetched again, and what differs in these
// parts is exchanged, so that there is one way to draw them: the server's. Parts need an id, or are taken in order.
const SOONEST = 1_000; // ms from one look to the next, and at least ten times as long as the last one took
const POLL = 5_000; // ms, when all streams are taken
const BEAT = 30_000; // ms after which a page is fetched anyway: clocks move limits and breakers too

let marks = JSON.parse(document.body.dataset.marks ?? "{}"); // as they were when the page was drawn
let due = new Set();
let timer = null;
let last = 0;
let cost = 0;
let told = () => {};

const parts = (root) => [...root.querySelectorAll("[data-live]")];
const topicsOf = (part) => part.dataset.live.split(" ");

// Nothing is taken from under the hands of whoever types or has chosen something.
function busy(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
    || part.querySelector("input[type=checkbox]:checked, dialog[open], details[open][data-keep]") !== null;
}

async function refresh() {
  timer = null;
  const topics = due;
  due = new Set();
  const began = performance.now();
  const answer = await fetch(location.href, { headers: { "X-Live": "1" } }).catch(() => null);
  last = performance.now();
  cost = last - began;
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const news = parts(fresh);
  parts(document).forEach((part, index) => {
    const other = part.id ? fresh.getElementById(part.id) : news[index];
    if (!other || busy(part) || ![...topics].some((one) => one === "*" || topicsOf(part).includes(one))) return;
    if (part.drawn === other.innerHTML) return;
    part.drawn = other.innerHTML;
    part.replaceChildren(...other.cloneNode(true).childNodes);
    told(part);
  });
}

function later(topics) {
  topics.forEach((one) => due.add(one));
  if (timer !== null || document.hidden) return;
  const wait = Math.max(0, last + Math.max(SOONEST, 10 * cost) - performance.now());
  timer = setTimeout(refresh, wait);
}

function heard(news) {
  const changed = Object.keys(news).filter((topic) => topic in marks && marks[topic] !== news[topic]);
  marks = news;
  if (changed.length) later(changed);
}

async function poll() {
  if (!document.hidden) {
    const answer = await fetch("/live?once").catch(() => null);
    if (answer?.ok && !answer.redirected) heard(await answer.json());
  }
  setTimeout(poll, POLL);
}

function listen() {
  const source = new EventSource("/live");
  source.addEventListener("pulse", (event) => heard(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) poll(); // all streams are taken
  });
  window.addEventListener("pagehide", () => source.close());
}

export function watch(drawn) {
  told = drawn;
  if (!parts(document).length) return;
  parts(document).forEach((part) => { part.drawn = part.innerHTML; });
  listen();
  setInterval(() => later(["*"]), BEAT);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(["*"]); });
}

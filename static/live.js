// Keeps the parts of a page up to date that name their topics: <section data-live="emails configs" id="…">.
//
// The server tells by one stream which topics have changed. The page is then fetched again, and what differs in these
// parts is exchanged, so that there is one way to draw them: the server's. Parts need an id, or are taken in order.
const SOONEST = 1_000; // ms from one look to the next, and at least ten times as long as the last one took
const POLL = 5_000; // ms, when all streams are taken
const BEAT = 30_000; // ms after which a page is fetched anyway: clocks move limits and breakers too
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

let marks = JSON.parse(document.body.dataset.marks ?? "{}"); // as they were when the page was drawn
let due = new Set();
let timer = null;
let running = false;
let last = 0;
let cost = 0;
let tag = null; // of what was drawn last, where the server gives one
let skipped = false; // something was left as it was: it is wanted again
let source = null;
let polling = null;
let pressed = false;
let over = false;
let told = () => {};

const parts = (root) => [...root.querySelectorAll("[data-live]")];
const topicsOf = (part) => part.dataset.live.split(" ");
const isDue = (part, topics) => topics.has("*") || topicsOf(part).some((one) => topics.has(one));

// Nothing is taken from under the hands of whoever types, presses a button, marks some text or has chosen something.
function busy(part) {
  const selection = document.getSelection();
  return pressed
    || part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
    || !selection.isCollapsed && part.contains(selection.anchorNode)
    || part.querySelector("input[type=checkbox]:checked, dialog[open], details[open][data-keep]") !== null;
}

// Who goes from link to link by keyboard stays where they are.
function exchange(part, other) {
  const among = () => [...part.querySelectorAll(FOCUSABLE)];
  const before = part.contains(document.activeElement) && document.activeElement !== part ? document.activeElement : null;
  const place = before ? among().indexOf(before) : -1;
  part.replaceChildren(...other.cloneNode(true).childNodes);
  if (!before) return;
  const alike = (one) => one.tagName === before.tagName && one.getAttribute("href") === before.getAttribute("href")
    && (before.hasAttribute("href") || one.textContent === before.textContent);
  const now = among();
  const next = now[place] && alike(now[place]) ? now[place] : now.find(alike) ?? now[Math.min(place, now.length - 1)];
  next?.focus({ preventScroll: true });
}

function say(text, link = false) {
  const place = document.getElementById("away");
  if (!place || place.dataset.told === text) return;
  place.dataset.told = text;
  place.hidden = text === "";
  place.firstElementChild.textContent = text;
  place.querySelector("a").hidden = !link;
}

function signedOut() {
  over = true;
  disconnect();
  say("You are signed out. What is shown here may be old.", true);
}

// The answer's text, "" when nothing is new, or null when there is none: then the page says why.
async function ask(path, headers = {}) {
  const answer = await fetch(path, { headers }).catch(() => null);
  if (answer?.redirected && new URL(answer.url).pathname === "/login") {
    signedOut();
    return null;
  }
  const away = answer === null || answer.status >= 500;
  say(away ? "The server does not answer. What is shown here may be old; it is tried again by itself." : "");
  if (answer?.status === 304) return "";
  if (!answer?.ok || answer.redirected) return null;
  tag = path === location.href ? answer.headers.get("ETag") : tag;
  return answer.text().catch(() => null);
}

async function refresh() {
  timer = null;
  running = true;
  const topics = due;
  due = new Set();
  const began = performance.now();
  const text = await ask(location.href, { "X-Live": "1", ...(tag && !skipped ? { "If-None-Match": tag } : {}) });
  last = performance.now();
  cost = last - began;
  running = false;
  if (text === null) topics.forEach((one) => due.add(one)); // the next beat or mark tries again
  else if (text) draw(text, topics);
  if (text !== null && due.size) later([]);
}

function draw(text, topics) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const news = parts(fresh);
  skipped = false;
  parts(document).forEach((part, index) => {
    const other = part.id ? fresh.getElementById(part.id) : news[index];
    if (!other || part.drawn === other.innerHTML) return;
    if (!isDue(part, topics) || busy(part)) { skipped = true; return; }
    part.drawn = other.innerHTML;
    exchange(part, other);
    told(part);
  });
}

// One look at a time: of two, the older might come last.
function later(topics) {
  topics.forEach((one) => due.add(one));
  if (timer !== null || running || over || document.hidden) return;
  const wait = Math.max(0, last + Math.max(SOONEST, 10 * cost) - performance.now());
  timer = setTimeout(refresh, wait);
}

function heard(news) {
  const changed = Object.keys(news).filter((topic) => topic in marks && marks[topic] !== news[topic]);
  marks = news;
  if (changed.length) later(changed);
}

async function poll() {
  const text = await ask("/live?once");
  if (text) heard(JSON.parse(text));
  if (polling !== null) polling = setTimeout(poll, POLL);
}

function connect() {
  if (source || polling !== null || over || document.hidden) return;
  const stream = source = new EventSource("/live");
  stream.addEventListener("pulse", (event) => { say(""); heard(JSON.parse(event.data)); });
  stream.addEventListener("over", signedOut);
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED || stream !== source) return; // else it connects anew by itself
    source = null;
    polling = 0; // all streams are taken, or the session is over: asking tells
    poll();
  });
}

// A page that nobody sees takes no stream from others.
function disconnect() {
  source?.close();
  source = null;
  clearTimeout(polling);
  polling = null;
}

function look() {
  if (document.hidden) return disconnect();
  connect();
  later(["*"]);
}

export function watch(drawn) {
  told = drawn;
  if (!parts(document).length) return;
  parts(document).forEach((part) => { part.drawn = part.innerHTML; });
  connect();
  setInterval(() => later(["*"]), BEAT);
  document.addEventListener("visibilitychange", look);
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => { pressed = false; }, 0)); // after the click
  }
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => { if (event.persisted) look(); });
}

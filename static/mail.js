// Mail by keyboard, and a message that is opened becomes read.
const link = (selector) => document.querySelector(selector);
const rows = () => [...document.querySelectorAll("[data-keys] .row-link")];

// The focus is what is chosen, so that Enter opens it and screen readers tell it.
function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest?.("[data-row]")?.querySelector(".row-link"));
  all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
}

function star() {
  const row = document.activeElement.closest?.("[data-row]");
  if (row) row.querySelector("[data-star]")?.click();
  else link("[data-star-form]")?.requestSubmit();
}

const keys = {
  j: () => (rows().length ? step(1) : link("[data-older]")?.click()),
  k: () => (rows().length ? step(-1) : link("[data-newer]")?.click()),
  r: () => link("[data-reply]")?.click(),
  u: () => link("[data-back]")?.click(),
  s: star,
  "?": () => document.getElementById("keys")?.togglePopover(),
};

document.addEventListener("keydown", (event) => {
  const within = event.target.closest?.("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]");
  if (within || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !(event.key in keys)) return;
  if (!document.querySelector("[data-keys], [data-message]") && event.key !== "?") return;
  event.preventDefault();
  keys[event.key]();
});

// Folders go with their choice; where there is no JavaScript, a button does it.
document.querySelectorAll("select[data-go]").forEach((select) => {
  select.form.querySelector("button").hidden = true;
  select.addEventListener("change", () => select.form.requestSubmit());
});

const unread = document.querySelector("form[data-read-on-open]");
if (unread) {
  const body = new URLSearchParams(new FormData(unread));
  body.set("quiet", "1");
  fetch(unread.action, { method: "POST", body }).catch(() => {}); // the button is still there
}

// A frame in its first state takes what it shows then for its beginning: each preview would else be a step of "Back".
function anew(name) {
  const frame = document.querySelector(`iframe[name="${name}"]`);
  const fresh = frame.cloneNode();
  fresh.removeAttribute("src");
  frame.replaceWith(fresh);
}

// The preview follows what is written, a moment after the last key.
document.querySelectorAll("form[data-preview]").forEach((form) => {
  const show = form.querySelector("[data-show]");
  let timer = null;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      anew(show.formTarget);
      form.requestSubmit(show);
    }, 600);
  });
});

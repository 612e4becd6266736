// What makes pages livelier. Without it they work all the same.
import { watch } from "./live.js";
import { showTimes } from "./times.js";
import "./mail.js";

watch((changed) => showTimes(changed)); // first, while the page is as the server drew it
showTimes(document);

// Ask before what cannot be undone.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm ?? event.submitter?.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A form is sent once, however often its button is pressed. Should no page come, it may be sent again.
const AGAIN = 15_000; // ms
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || event.submitter?.formTarget) return; // a preview beside it
  if ("sent" in form.dataset) return event.preventDefault();
  form.dataset.sent = "";
  setTimeout(() => { delete form.dataset.sent; }, AGAIN);
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
});

// <button data-copy="#id"> copies the text of an element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const place = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(place.textContent.trim());
  } catch { // there is no clipboard where the page came without TLS from another machine
    return document.getSelection().selectAllChildren(place);
  }
  button.dataset.label ??= button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
});

// A frame as narrow as a phone, and back. Without JavaScript the button is not there.
document.querySelectorAll("[data-narrow]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const narrow = document.querySelector(button.dataset.narrow).classList.toggle("narrow");
    button.setAttribute("aria-pressed", narrow);
  });
});

// Lists of which many are chosen: <form data-bulk> with a box data-all and a place data-count.
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-bulk]");
  if (!form) return;
  const boxes = [...form.querySelectorAll("input[name=id]")];
  if ("all" in event.target.dataset) boxes.forEach((box) => { box.checked = event.target.checked; });
  const count = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-count]").textContent = count ? `${count} chosen` : "";
});

// A day and time is meant in the zone of whoever fills it in; the server is told which that is.
document.addEventListener("formdata", (event) => {
  event.target.querySelectorAll("input[data-zone]").forEach((field) => {
    if (field.value) event.formData.set(field.name, new Date(field.value).toISOString());
  });
});
document.querySelectorAll("input[data-zone][data-at]").forEach((field) => {
  const at = new Date(field.dataset.at);
  field.value = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
});

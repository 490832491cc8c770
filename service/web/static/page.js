// What the pages do better with a script. Without it each form is sent as forms are.
// A form with `data-into="ID"` is sent in the background, and of the page that is replied the
// element with that id takes the place of the one that is shown. An element with `data-poll` is
// replaced by its like from that address, until it has none. Keys press the buttons whose
// `data-keys` name them, while the content has the focus.
"use strict";

const LOOK_AGAIN_MS = 700;

function replaceBy(html, id) {
  const page = new DOMParser().parseFromString(html, "text/html");
  // A page without the element says why: a session that is over, an error.
  const fresh = page.getElementById(id) ?? page.querySelector("main > .card");
  const shown = document.getElementById(id);
  if (!fresh || !shown) return;
  fresh.id = id;
  shown.replaceWith(document.adoptNode(fresh));
  prepare(document.getElementById(id));
}

function say(id, text) {
  const shown = document.getElementById(id);
  const alert = document.createElement("p");
  alert.className = "fault";
  alert.setAttribute("role", "alert");
  alert.textContent = text;
  shown.replaceChildren(alert);
}

// Not `fetch`: only this tells how much of an upload has been sent.
function send(form, onProgress) {
  const request = new XMLHttpRequest();
  request.open(form.method, form.action);
  request.setRequestHeader("Accept", "text/html");
  request.upload.addEventListener("progress", onProgress);
  const isFile = form.enctype === "multipart/form-data";
  const fields = new FormData(form);
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => resolve(request.responseText));
    request.addEventListener("error", () => reject(new Error("the server can’t be reached")));
    request.send(isFile ? fields : new URLSearchParams(fields));
  });
}

async function submitted(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  if (button.hasAttribute("aria-busy")) return;
  const id = form.dataset.into;
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Sending");
  button.setAttribute("aria-busy", "true");
  button.after(bar);
  try {
    const html = await send(form, (sent) => {
      if (sent.loaded < sent.total) Object.assign(bar, { max: sent.total, value: sent.loaded });
      else bar.removeAttribute("value");
    });
    replaceBy(html, id);
    document.getElementById(id).scrollIntoView({ block: "nearest" });
  } catch (error) {
    say(id, `Not sent: ${error.message}.`);
  } finally {
    bar.remove();
    button.removeAttribute("aria-busy");
  }
}

async function lookAgain(element) {
  await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  if (!element.isConnected) return;
  try {
    const reply = await fetch(element.dataset.poll, { headers: { Accept: "text/html" } });
    replaceBy(await reply.text(), element.id);
  } catch {
    lookAgain(element);
  }
}

function preview(drop, input) {
  drop.querySelector("img")?.remove();
  const file = input.files[0];
  if (!file?.type.startsWith("image/")) return;
  const image = document.createElement("img");
  image.alt = `Preview of ${file.name}`;
  image.src = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => image.remove());
  drop.append(image);
}

function droppable(drop) {
  const input = drop.querySelector("input[type=file]");
  const isOver = (yes) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", yes);
  };
  drop.addEventListener("dragover", isOver(true));
  drop.addEventListener("dragleave", isOver(false));
  drop.addEventListener("drop", (event) => {
    isOver(false)(event);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
    input.form.requestSubmit();
  });
  input.addEventListener("change", () => preview(drop, input));
}

// A key by what is printed on it or, on a keyboard of another alphabet, by its place.
function pressed(event) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const names = [event.key.toLowerCase(), event.code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase()];
  for (const button of document.querySelectorAll("[data-keys]")) {
    if (!button.dataset.keys.split(" ").some((key) => names.includes(key))) continue;
    event.preventDefault();
    // Pressed twice, it would answer the next case, or this one again.
    if (!button.form.dataset.sent) button.click();
    button.form.dataset.sent = "yes";
    return;
  }
}

function prepare(root) {
  const within = (selector) => [...root.querySelectorAll(selector), ...(root.matches?.(selector) ? [root] : [])];
  within("form[data-into]").forEach((form) => form.addEventListener("submit", submitted));
  within("[data-drop]").forEach(droppable);
  within("[data-poll]").forEach(lookAgain);
  within("[data-shortcuts]").forEach((element) => {
    element.closest("main").addEventListener("keydown", pressed);
    element.focus({ preventScroll: true });
  });
}

document.documentElement.classList.add("scripted");
prepare(document);

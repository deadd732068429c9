// The page beside the stream: it asks for changes and shows what the program answers.
"use strict";

const at = (id) => document.getElementById(id);
const POLL_MS = 400;
const PATIENCE_MS = 5000; // for an answer: a network that is gone need not say so
const OWN_MS = 700; // how long a control that was touched is not moved by the program's answer
const touched = new Map();
let keys = [];
let noticed = null;
let isLost = false;

async function send(name, value = null, step = false) {
  try {
    await fetch("command", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Edge-Style": "1" },
      body: JSON.stringify({ name, value, step }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    return; // the next poll says that the connection is lost
  }
}

// A slider gives dozens of values a second; the newest is sent when the last one has arrived.
function slider(id) {
  let waiting = null, isBusy = false;
  at(id).addEventListener("input", async () => {
    touched.set(id, Date.now());
    waiting = Number(at(id).value);
    while (waiting !== null && !isBusy) {
      const value = waiting;
      waiting = null;
      isBusy = true;
      await send(id, value);
      isBusy = false;
    }
  });
}

function choice(id) {
  at(id).addEventListener("change", () => {
    touched.set(id, Date.now());
    // "none" is no style, but nothing of one.
    if (at(id).value === "") send("blend", 0);
    else send(id, Number(at(id).value));
  });
}

function box(id) {
  at(id).addEventListener("change", () => {
    touched.set(id, Date.now());
    send(id, at(id).checked ? 1 : 0);
  });
}

["strength", "edge", "blend"].forEach(slider);
["style", "partner"].forEach(choice);
["colours", "steady", "mirror", "split"].forEach(box);
for (const id of ["pause", "record"]) {
  at(id).addEventListener("click", () => send(id, at(id).ariaPressed === "true" ? 0 : 1));
}
at("snapshot").addEventListener("click", () => send("snapshot"));
at("fullscreen").addEventListener("click", toggleFullScreen);

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (document.fullscreenEnabled) at("stage").requestFullscreen();
  else at("stage").classList.toggle("fills-page"); // iPhones have it for videos alone
}
function leavePage() {
  at("stage").classList.remove("fills-page");
}
at("leave-full").addEventListener("click", leavePage);
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") leavePage(); });

// Drag the edge of the split view on the picture itself.
function drag(event) {
  if (!(event.buttons & 1) || !at("split").checked) return;
  const image = at("picture"), frame = image.getBoundingClientRect();
  if (!image.naturalWidth) return; // the stream is just being opened
  const scale = Math.min(frame.width / image.naturalWidth, frame.height / image.naturalHeight);
  const width = image.naturalWidth * scale, left = frame.left + (frame.width - width) / 2;
  at("edge").value = Math.min(1, Math.max(0, (event.clientX - left) / width));
  at("edge").dispatchEvent(new Event("input"));
}
at("picture").addEventListener("pointerdown", drag);
at("picture").addEventListener("pointermove", drag);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Letters mean nothing to buttons, boxes and sliders, which keep the focus after a click.
  if (event.target.tagName === "SELECT") return;
  if (event.key === " " && ["INPUT", "BUTTON", "SUMMARY"].includes(event.target.tagName)) return;
  if (event.key.length !== 1) return; // arrows and the like have names
  const character = event.key.toLowerCase();
  const key = keys.find((one) => one.keys.includes(character));
  const isStyle = /^[1-9]$/.test(character);
  if (character !== "f" && !isStyle && !key) return;
  event.preventDefault();
  // Of held keys, steps go on; the rest is wanted once.
  if (event.repeat && !key?.step) return;
  if (character === "f") toggleFullScreen();
  else if (isStyle) send("style", Number(character) - 1);
  else send(key.name, key.value, key.step);
});

// Any picture as the style: it is made small here, since the program looks at it small.
const PICTURE_PX = 512;
async function paintLike(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, PICTURE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(16, Math.round(bitmap.width * scale));
    canvas.height = Math.max(16, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const body = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.92); });
    const answer = await fetch("picture", { method: "POST", headers: { "X-Edge-Style": "1" }, body });
    if (!answer.ok) say(await answer.text(), 4000);
  } catch {
    say("this is not a picture that the browser can read", 4000);
  }
}
at("file").addEventListener("change", () => {
  if (at("file").files.length) paintLike(at("file").files[0]);
  at("file").value = "";
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (!file) return;
  if (at("any").hidden) say("none of the networks paints like any picture", 4000);
  else paintLike(file);
});

function fill(select, entries) {
  const wanted = JSON.stringify(entries);
  if (select.dataset.entries === wanted) return;
  select.dataset.entries = wanted;
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
}

function put(id, property, value) {
  if (Date.now() - (touched.get(id) ?? 0) > OWN_MS) at(id)[property] = value;
}

function show(state) {
  const { controls, styles, figures } = state;
  if (controls) {
    fill(at("style"), styles.map((style, number) => [number, style.title]));
    const mates = styles
      .map((style, number) => [number, style.title])
      .filter(([number]) => number !== controls.style
        && styles[number].network === styles[controls.style].network);
    at("blending").hidden = mates.length === 0;
    fill(at("partner"), [["", "none"], ...mates]);
    at("any").hidden = !styles.some((style) => style.adopts);
    put("style", "value", controls.style);
    put("partner", "value", controls.blend > 0 ? controls.partner ?? "" : "");
    for (const id of ["strength", "edge", "blend"]) put(id, "value", controls[id]);
    put("colours", "checked", controls.keeps_colours);
    put("steady", "checked", controls.is_steady);
    put("mirror", "checked", controls.is_mirrored);
    put("split", "checked", controls.is_split);
    at("edge-row").hidden = !controls.is_split;
    at("pause").ariaPressed = String(controls.is_paused);
    at("record").ariaPressed = String(controls.is_recording);
    if (noticed === null) noticed = state.notice.number;
    if (state.notice.number !== noticed) {
      noticed = state.notice.number;
      say(state.notice.text, 2500);
    }
    if (state.trouble) say(state.trouble, 2 * POLL_MS);
  }
  if (figures) {
    const size = figures.network_size && figures.network_size !== figures.size
      ? `${figures.size} from ${figures.network_size}` : figures.size;
    at("figures").textContent = [
      figures.fps === null ? "" : `${figures.fps.toFixed(1)} fps`,
      `${figures.latency_ms.toFixed(0)} ms`, size, figures.provider, figures.title,
    ].filter(Boolean).join(" · ");
  }
}

let silence = null;
function say(text, duration) {
  at("message").textContent = text;
  at("message").hidden = !text;
  clearTimeout(silence);
  silence = setTimeout(() => { at("message").hidden = true; }, duration);
}

async function poll() {
  // Before the pictures are counted: one that comes in between is then counted, and not yet seen.
  const look = lookOf(at("picture"));
  try {
    const answer = await fetch("state", { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    if (isLost) {
      isLost = false;
      say("", 0);
      expectStream();
    }
    show(state);
    watchStream(state.pictures, look);
  } catch (error) {
    isLost = true;
    say(`no connection to the program: ${error.message}`, 60000);
  }
  setTimeout(poll, POLL_MS);
}

// The stream may be cut while the state still comes: by a proxy, by sleep, by another network. An
// <img> does not say so, it keeps the last picture; but there are newer ones, and it stands still.
const FIRST_PAUSE_MS = 4000; // longer than a picture takes on a slow connection
const LONGEST_PAUSE_MS = 60000; // a scene may stand still itself
const LOOK_PX = 32;
const stream = {
  openedAt: Date.now(),
  pause: FIRST_PAUSE_MS,
  isBroken: false,
  look: "",
  pictures: 0, // how many there had been when it was opened, or last seen to move
  stillSince: null, // when there was one more, and it did not move
};

const looking = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
looking.canvas.width = looking.canvas.height = LOOK_PX;
looking.imageSmoothingEnabled = false; // points, in which noise is seen, and not means

function lookOf(image) {
  if (!image.naturalWidth) return "";
  looking.drawImage(image, 0, 0, LOOK_PX, LOOK_PX);
  return looking.getImageData(0, 0, LOOK_PX, LOOK_PX).data.join();
}

function watchStream(pictures, look) {
  const now = Date.now();
  if (look !== "" && look !== stream.look) {
    Object.assign(stream, { look, pictures, stillSince: null, pause: FIRST_PAUSE_MS });
  } else if (pictures === stream.pictures || document.hidden) {
    stream.stillSince = null;
  } else {
    stream.stillSince ??= now;
  }
  const isStuck = stream.stillSince !== null && now - stream.stillSince >= stream.pause;
  if (!isStuck && !stream.isBroken) return;
  if (now - stream.openedAt < stream.pause) return;
  Object.assign(stream, { openedAt: now, isBroken: false, stillSince: null, pictures });
  stream.pause = Math.min(2 * stream.pause, LONGEST_PAUSE_MS);
  at("picture").src = `stream?${now}`;
}

// What cut it is over.
function expectStream() {
  Object.assign(stream, { isBroken: true, pause: FIRST_PAUSE_MS });
}

at("picture").addEventListener("error", () => { stream.isBroken = true; });
window.addEventListener("online", expectStream);
window.addEventListener("pageshow", (event) => { if (event.persisted) expectStream(); });
document.addEventListener("visibilitychange", () => { stream.pause = FIRST_PAUSE_MS; });

fetch("keys").then((answer) => answer.json()).then((list) => {
  keys = list;
  const rows = [["1 - 9", "choose a style"], ...list.map((key) => [key.label, key.help]),
    ["f", "full screen"]];
  for (const [label, help] of rows) {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = label;
    text.textContent = help;
    at("keys").append(term, text);
  }
}).catch(() => {});
poll();

"use strict";

const TRAIL = 8; // frames that a track is drawn back
const HIDDEN = -32768; // a track's place where it is not seen
const STATES = ["none", "lost", "hidden", "still", "moving"];

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { width, height, rate, frames } = data;
const last = frames.length - 1;
const canvas = $("canvas");
const context = canvas.getContext("2d");
const film = $("film");
const layer = new OffscreenCanvas(width, height);
const pixels = new ImageData(width, height);
const ids = new Uint16Array(width * height); // the object that each pixel shows
const words = new Uint32Array(pixels.data.buffer); // a pixel each: alpha, blue, green, red from the top byte down
const shown = new Set(data.objects.map((object) => object.id));
let runs, starts, windows;
let current = 0; // the frame that is drawn
let wanted = 0; // the frame that was asked for
let playable = true;
let watched = false; // whether the next frame of the film will be told

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function bytes(id) {
  const text = atob($(id).textContent);
  const made = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) made[at] = text.charCodeAt(at);
  return made;
}

function unpacked(id) {
  const stream = new Blob([bytes(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/* Where each frame's runs begin: every frame's lengths add up to its pixels. */
function frameStarts(runs) {
  const found = [];
  for (let at = 0; at < runs.length; ) {
    found.push(at);
    for (let left = width * height; left > 0; at += 2) left -= runs[at + 1];
  }
  return found;
}

function windowsOf(buffer) {
  let offset = 0;
  return data.windows.map(({ first, start, length, count }) => {
    const xy = new Int16Array(buffer, offset, count * length * 2);
    const probability = new Uint16Array(buffer, offset + xy.byteLength, count);
    offset += xy.byteLength + probability.byteLength;
    return { first, start, length, count, xy, probability };
  });
}

function word([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function drawMasks(frame) {
  const opacity = Math.round(2.55 * $("opacity").value);
  ids.fill(0);
  words.fill(0);
  for (let at = starts[frame], pixel = 0; pixel < words.length; at += 2) {
    const id = runs[at];
    const end = pixel + runs[at + 1];
    if (id && shown.has(id)) {
      ids.fill(id, pixel, end);
      words.fill(word(colourOf(id), opacity), pixel, end);
    }
    pixel = end;
  }
  drawOutlines();
  layer.getContext("2d").putImageData(pixels, 0, 0);
  context.drawImage(layer, 0, 0);
}

/* Halfway to white, as in overlay.mp4: half the palette is too dark for an outline. */
function drawOutlines() {
  for (let pixel = 0; pixel < ids.length; pixel++) {
    const id = ids[pixel];
    if (!id) continue;
    const inside = ids[pixel - 1] === id && ids[pixel + 1] === id && ids[pixel - width] === id && ids[pixel + width] === id;
    if (!inside) words[pixel] = word(colourOf(id).map((value) => (value + 255) >> 1), 255);
  }
}

function colourOf(id) {
  return data.colours[(id - 1) % data.colours.length];
}

/* Blue stays, grey may be either, orange moves: told apart also by those who see red and green alike. */
function trackColour(probability) {
  const mix = (from, to, part) => from.map((value, at) => Math.round(value + (to[at] - value) * part));
  const low = probability < 0.5;
  const ends = low ? [[64, 128, 255], [200, 200, 200]] : [[200, 200, 200], [255, 96, 0]];
  return `rgb(${mix(...ends, low ? 2 * probability : 2 * probability - 1).join(" ")})`;
}

function drawTracks(frame) {
  const window = windows.findLast(({ first }) => first <= frame);
  if (!window) return;
  const { start, length, count, xy, probability } = window;
  const dot = Math.max(1.5, width / 400);
  context.lineWidth = dot * 0.7;
  for (let track = 0; track < count; track++) {
    const place = (at) => [xy[2 * (track * length + at)], xy[2 * (track * length + at) + 1]];
    let at = frame - start;
    if (place(at)[0] === HIDDEN) continue;
    context.strokeStyle = context.fillStyle = trackColour(probability[track] / 65535);
    context.beginPath();
    context.arc(place(at)[0] / 8, place(at)[1] / 8, dot, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    for (const end = Math.max(0, at - TRAIL); at >= end && place(at)[0] !== HIDDEN; at--) {
      context.lineTo(place(at)[0] / 8, place(at)[1] / 8);
    }
    context.stroke();
  }
}

function draw(frame) {
  current = Math.min(Math.max(frame, 0), last);
  context.clearRect(0, 0, width, height);
  // Below each frame, the film has its depth.
  if (playable) context.drawImage(film, 0, $("depth").checked ? height : 0, width, height, 0, 0, width, height);
  if ($("masks").checked) drawMasks(current);
  if ($("tracks").checked) drawTracks(current);
  tell();
}

function tell() {
  const seen = data.objects.filter((object) => object.states[current] >= STATES.indexOf("still"));
  const what = seen.length ? seen.map((object) => `${object.id} ${STATES[object.states[current]]}`).join(", ") : "none";
  const where = `Frame ${frames[current]}, ${data.times[current].toFixed(2)} s`;
  $("status").textContent = where;
  $("frame").value = film.paused ? wanted : current; // or keys that are held would get lost
  $("frame").setAttribute("aria-valuetext", where);
  canvas.setAttribute("aria-label", `${where}. Objects: ${what}`);
  $("objects").style.setProperty("--at", last ? current / last : 0);
}

function show(frame) {
  film.pause();
  wanted = Math.min(Math.max(frame, 0), last);
  if (!playable) draw(wanted);
  else if (!film.seeking) seek();
}

function step(frames) {
  show((film.paused ? wanted : current) + frames);
}

function seek() {
  watch();
  film.currentTime = (wanted + 0.5) / rate; // the middle of a frame, however times are rounded
}

/* Draw the film's frames as they come on: after a seek, one may still be black when the seek has ended. */
function watch() {
  if (watched || !film.requestVideoFrameCallback) return;
  watched = true;
  film.requestVideoFrameCallback((_, shot) => {
    watched = false;
    draw(Math.round(shot.mediaTime * rate));
    if (!film.seeking) wanted = current;
    if (!film.paused) watch();
  });
}

function followClock() {
  draw(Math.floor(film.currentTime * rate));
  wanted = current;
  if (!film.paused) requestAnimationFrame(followClock);
}

function toggle() {
  if (!film.paused) return show(current);
  if (current === last) film.currentTime = 0;
  film.play();
}

function setPlaying(playing) {
  $("play").textContent = playing ? "Pause" : "Play";
  $("status").setAttribute("aria-live", playing ? "off" : "polite");
}

function listen() {
  film.addEventListener("play", () => {
    setPlaying(true);
    if (film.requestVideoFrameCallback) watch();
    else requestAnimationFrame(followClock);
  });
  film.addEventListener("pause", () => setPlaying(false));
  film.addEventListener("seeked", () => {
    if (!film.paused) return;
    if (Math.floor(film.currentTime * rate) === wanted) draw(wanted);
    else seek();
  });
  $("play").addEventListener("click", toggle);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("frame").addEventListener("input", () => show(Number($("frame").value)));
  for (const id of ["masks", "depth", "tracks", "opacity"]) $(id).addEventListener("input", () => draw(current));
  $("all").addEventListener("click", () => showObjects(true));
  $("none").addEventListener("click", () => showObjects(false));
  document.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -frames.length, End: frames.length };
    if (event.target.closest("input, button, summary, .scroll") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " ") toggle();
    else if (event.key in steps) step(steps[event.key]);
    else return;
    event.preventDefault();
  });
}

function showObjects(visible) {
  for (const box of document.querySelectorAll("#objects input")) {
    box.checked = visible;
    box.dispatchEvent(new Event("change"));
  }
}

/* One number a frame, an index into STATES, from the runs since the object's start. */
function statesOf(object) {
  const states = new Uint8Array(frames.length);
  let at = object.start;
  for (const [name, count] of object.state) {
    states.fill(STATES.indexOf(name ?? "none"), at, at + count);
    at += count;
  }
  states.fill(STATES.indexOf("lost"), at);
  return states;
}

function runsOf(states) {
  const found = [];
  states.forEach((state, at) => {
    const run = found.at(-1);
    if (run && run.state === STATES[state]) run.end = at;
    else found.push({ state: STATES[state], start: at, end: at });
  });
  return found;
}

function objectRow(object) {
  const box = element("input", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    if (box.checked) shown.add(object.id);
    else shown.delete(object.id);
    draw(current);
  });
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = `rgb(${colourOf(object.id).join(" ")})`;
  const parts = runsOf(object.states);
  const strip = element("button", { type: "button", className: "strip" });
  for (const { state, start, end } of parts) {
    const part = element("span", { className: `state ${state}` });
    part.style.width = `${(100 * (end - start + 1)) / frames.length}%`;
    strip.append(part);
  }
  const said = parts.filter(({ state }) => state !== "none");
  const spans = said.map(({ state, start, end }) => `${state} ${frames[start]} to ${frames[end]}`).slice(0, 20);
  strip.setAttribute("aria-label", `Object ${object.id}, by frame: ${spans.join(", ")}. Go to where it is first seen`);
  strip.title = "Click to go to a frame";
  strip.addEventListener("click", (event) => {
    const { left, width } = strip.getBoundingClientRect();
    const first = object.states.findIndex((state) => state >= STATES.indexOf("still"));
    show(event.detail ? Math.floor(((event.clientX - left) / width) * frames.length) : first);
  });
  const label = element("label", {}, box, swatch, `Object ${object.id}`);
  const score = element("td", { className: "number", textContent: object.score.toFixed(2) });
  return element("tr", {}, element("td", {}, label), score, element("td", {}, strip));
}

function factRow([name, value], ...more) {
  const text = Array.isArray(value) ? value.join(", ") : String(value ?? "none");
  return element("tr", {}, element("th", { scope: "row", textContent: name }), element("td", { textContent: text }), ...more);
}

function fill() {
  canvas.width = width;
  canvas.height = height;
  $("frame").max = last;
  $("message").textContent = data.message;
  $("sample").textContent = data.sample;
  for (const object of data.objects) object.states = statesOf(object);
  $("objects").append(...data.objects.map(objectRow));
  $("depth-label").hidden = !data.depth;
  $("found").hidden = !data.objects.length;
  $("nothing").hidden = data.objects.length > 0;
  const longest = Math.max(...Object.values(data.seconds), 1e-9);
  for (const [stage, seconds] of Object.entries(data.seconds)) {
    const bar = element("span", { className: "bar" });
    bar.style.width = `${(100 * seconds) / longest}%`;
    $("seconds").append(factRow([stage, `${seconds.toFixed(2)} s`], element("td", { ariaHidden: "true" }, bar)));
  }
  $("facts").append(...Object.entries(data.facts).map((fact) => factRow(fact)));
  $("settings").append(...Object.entries(data.settings).map((fact) => factRow(fact)));
  $("warnings").append(...data.warnings.map((text) => element("li", { textContent: text })));
  $("warnings-box").hidden = !data.warnings.length;
  $("warnings-box").open = true;
}

async function begin() {
  fill();
  runs = new Int32Array(await unpacked("runs-data"));
  starts = frameStarts(runs);
  windows = windowsOf(await unpacked("tracks-data"));
  await new Promise((ready) => {
    film.addEventListener("loadeddata", ready, { once: true });
    film.addEventListener("error", () => {
      playable = false;
      $("trouble").hidden = false;
      $("depth-label").hidden = true;
      $("play").disabled = true;
      ready();
    }, { once: true });
    film.src = URL.createObjectURL(new Blob([bytes("film-data")], { type: "video/mp4" }));
  });
  setPlaying(false);
  listen();
  show(0);
  document.documentElement.dataset.ready = "yes";
}

begin();

// The page: its parts, and the form that asks.

import * as answer from "./answer.js";
import { clearErrors, fieldOf, showError } from "./errors.js";
import * as jobs from "./jobs.js";
import * as models from "./models.js";
import { follow, get, predict, submit, useKey, whenRefused } from "./service.js";
import * as sketch from "./sketch.js";
import * as source from "./source.js";
import * as tasks from "./tasks.js";

const byId = (id) => document.getElementById(id);
const BUTTONS = ["predict", "relax", "predict-job", "relax-job", "do-task", "task-job"];
let running = null; // what ends the request that is under way
let loaded = false; // whether the page knows the service's models

function say(text) {
  byId("state").textContent = text;
}

function relaxOptions() {
  const steps = byId("steps").value;
  return {
    fmax: Number(byId("fmax").value),
    ...(steps && { steps: Number(steps) }),
    optimizer: byId("optimizer").value,
    cell: byId("cell").value,
  };
}

/** The request that the form asks, or null where an error has been shown. */
function body(relax) {
  const item = source.item();
  if (!item) return null;
  return {
    structures: [item],
    ...(byId("model").value && { model: byId("model").value }),
    ...(byId("odd").checked && { allow_odd_electrons: true }),
    ...(relax && { relax: relaxOptions() }),
  };
}

function tellError(error) {
  if (error.name === "AbortError") say("Stopped.");
  else showError(fieldOf(error, source.sourceField()), error.message);
}

/** Do what is asked, one thing at a time; errors go to where they belong. */
async function busy(text, work) {
  clearErrors(byId("ask"));
  running = new AbortController();
  say(text);
  tasks.clear();
  for (const id of BUTTONS) byId(id).disabled = true;
  byId("stop").hidden = false;
  try {
    say((await work(running.signal)) ?? "");
  } catch (error) {
    say("");
    tellError(error);
  } finally {
    for (const id of BUTTONS) byId(id).disabled = false;
    byId("stop").hidden = true;
    tasks.rest();
  }
}

/** Show a document; the first error of its results where none has an answer. */
async function show(document, asked, points, keeps) {
  if (await answer.show(document, asked, points, keeps)) return;
  const first = document.results.find((result) => result.error);
  throw first ? first.error : new Error("the file holds no structure");
}

async function ask(signal) {
  const asked = body(false);
  if (!asked) return;
  const document = await predict(asked, signal);
  await show(document, asked);
  return told(document);
}

function told({ results }) {
  const failed = results.filter((result) => result.status !== "ok").length;
  if (results.length === 1) return "Done.";
  return `Done: ${results.length} structures${failed ? `, ${failed} with an error` : ""}.`;
}

/** Relax what the form holds; one structure is followed, several are answered together. */
async function relax(signal) {
  const asked = body(true);
  if (!asked) return;
  const first = await predict(body(false), signal);
  await show(first, asked);
  if (first.results.length > 1) {
    say(`Relaxing ${first.results.length} structures …`);
    const document = await predict(asked, signal);
    await show(document, asked);
    return told(document);
  }
  const points = [{ steps: 0, energy: first.results[0].energy }];
  for await (const { name, data } of follow(asked, signal)) {
    if (name === "step") {
      points.push(data);
      answer.move(data, points);
    } else if (name === "end") {
      const { relaxed } = data.results[0];
      if (relaxed) points.push({ steps: relaxed.steps, energy: relaxed.energy });
      await show(data, asked, points, true);
      return relaxed ? `Done: ${relaxed.reason} after ${relaxed.steps} steps.` : "";
    }
  }
}

/** The request for the task that is chosen, or null where an error has been shown. */
function taskBody() {
  const asked = body(false);
  return asked && { ...asked, options: tasks.chosen().options };
}

/** Do a task for one structure, and tell how far it is. */
async function doTask(signal) {
  const asked = taskBody(), { name } = tasks.chosen();
  if (!asked) return;
  for await (const { name: event, data } of follow(asked, signal, name)) {
    if (event === "progress") tasks.tell(data);
    else if (event === "step") say(`relaxation: ${data.steps} steps, ${data.fmax.toFixed(4)} eV/Å are left`);
    else if (event === "end") {
      await show(data, body(false));
      tasks.show(name, data);
      return `Done: ${name}.`;
    }
  }
}

async function submitTask() {
  const asked = taskBody(), { name } = tasks.chosen();
  if (!asked) return;
  const job = await submit(asked, name);
  jobs.add(job, `${name} of ${byId("smiles").value.trim() || "a file"}`);
  location.hash = "#jobs";
  return "Submitted.";
}

async function submitJob(relaxes) {
  const asked = body(relaxes);
  if (!asked) return;
  const job = await submit(asked);
  jobs.add(job, byId("smiles").value.trim() || "a file");
  location.hash = "#jobs";
  return "Submitted.";
}

function showPart() {
  const wanted = ["compute", "jobs", "models"].find((id) => location.hash === `#${id}`) ?? "compute";
  for (const id of ["compute", "jobs", "models"]) byId(id).hidden = id !== wanted;
  for (const link of document.querySelectorAll("[data-part]")) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function begin() {
  source.begin();
  sketch.begin();
  answer.begin();
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    busy("Computing …", ask);
  });
  byId("relax").addEventListener("click", () => busy("Relaxing …", relax));
  byId("predict-job").addEventListener("click", () => busy("Submitting …", () => submitJob(false)));
  byId("relax-job").addEventListener("click", () => busy("Submitting …", () => submitJob(true)));
  byId("do-task").addEventListener("click", () => busy("Asking …", doTask));
  byId("task-job").addEventListener("click", () => busy("Submitting …", submitTask));
  byId("stop").addEventListener("click", () => running.abort());
  window.addEventListener("hashchange", showPart);
  showPart();
  byId("key-form").addEventListener("submit", takeKey);
  whenRefused(() => {
    byId("key-form").hidden = false;
    byId("key").focus();
  });
  await load();
}

/** Take the key that was typed, and go on. */
async function takeKey(event) {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key").value = "";
  byId("key-form").hidden = true;
  clearErrors(document.body);
  if (!loaded) await load();
}

/** Show what the service has. */
async function load() {
  try {
    const index = await get("./");
    byId("version").textContent = `Equipot ${index.version}`;
    byId("no-rdkit").hidden = index.smiles;
    await models.begin();
    await tasks.begin();
    loaded = true;
    jobs.begin();
  } catch (error) {
    showError("service", error.message);
  }
}

begin();

// Jobs of this browser: it keeps their ids, and the service tells how far they are.

import { showError } from "./errors.js";
import { cancel, get, hasKey, results, resultsPath, saveAs, watch } from "./service.js";

const byId = (id) => document.getElementById(id);
const KEY = "equipot.jobs";
const RESULTS = ["csv", "xyz", "sdf", "json"];
const OF_TASKS = ["json", "lines"]; // which hold what a task finds

function kept() {
  return JSON.parse(localStorage.getItem(KEY) ?? "[]");
}

function keep(jobs) {
  localStorage.setItem(KEY, JSON.stringify(jobs));
}

function made(name, text = "") {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function button(text, action) {
  const element = made("button", text);
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

function told(job) {
  const parts = [`${job.state}: ${job.done} of ${job.structures} answered`];
  if (job.failed) parts.push(`${job.failed} with an error`);
  if (job.eta_seconds !== null && job.ended === null) parts.push(`about ${Math.ceil(job.eta_seconds)} s left`);
  const now = (job.under_way ?? []).map(({ structure, stage, done, total }) =>
    `structure ${structure}: ${stage} ${done}${total === null ? "" : ` of ${total}`}`);
  return `${[parts.join(", "), ...now].join("; ")}.`;
}

/** A job in the list, and what keeps it up to date. */
function line({ id, what, created, task }) {
  const item = made("li");
  const title = made("strong", what), moment = made("span", ` ${new Date(created).toLocaleString()} `);
  const bar = document.createElement("progress"), state = made("p", "…");
  bar.setAttribute("aria-label", `progress of ${what}`);
  const links = made("div"), watching = new AbortController();
  links.className = "row";
  const update = (job) => {
    bar.max = job.structures || 1;
    bar.value = job.done + job.failed;
    state.textContent = told(job);
    stop.hidden = job.ended !== null;
  };
  const follow = async () => {
    try {
      for await (const { data } of watch(id, watching.signal)) update(data);
      return;
    } catch (error) {
      if (error.name === "AbortError") return;
    }
    try {
      update(await get(`jobs/${encodeURIComponent(id)}`));
      state.textContent += " No news comes any more; load this page again.";
    } catch (error) {
      state.textContent = error.message;
      state.className = "error";
    }
  };
  const stop = button("Cancel", async () => {
    try {
      update(await cancel(id));
    } catch (error) {
      showError("jobs", error.message);
    }
  });
  for (const format of task ? OF_TASKS : RESULTS) {
    const link = made("a", format);
    link.className = "button";
    link.href = resultsPath(id, format);
    link.download = `${id}.${format}`;
    link.addEventListener("click", (event) => saveWithKey(event, id, format));
    links.append(link);
  }
  links.append(stop, button("Forget", () => {
    watching.abort();
    keep(kept().filter((job) => job.id !== id));
    item.remove();
  }));
  item.append(title, moment, bar, state, links);
  follow();
  return item;
}

/** Results come as a link is followed, but with a key, which a link cannot send. */
async function saveWithKey(event, id, format) {
  if (!hasKey()) return;
  event.preventDefault();
  try {
    saveAs(await results(id, format), `${id}.${format}`);
  } catch (error) {
    showError("jobs", error.message);
  }
}

/** Keep a job that was submitted here, and show it. */
export function add(job, what) {
  const entry = { id: job.id, what, created: job.created, task: job.task ?? null };
  keep([entry, ...kept()]);
  byId("job-list").prepend(line(entry));
}

/** Show the jobs of this browser. */
export function begin() {
  byId("job-list").replaceChildren(...kept().map(line));
}

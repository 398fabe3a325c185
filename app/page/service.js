// The service: what is asked of it over HTTP, and its errors.

const JSON_TYPE = "application/json";
const KEY = "equipot.key";
let onRefusal = () => {}; // what is done where a key is wanted

/** What the service refused, or why it could not be reached; `code` is the service's own. */
export class ServiceError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Whether this tab has a key for the service. */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Send a key with all that is asked, until the tab is closed. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** Have something done whenever the service wants a key, or another one. */
export function whenRefused(action) {
  onRefusal = action;
}

async function send(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key !== null && { Authorization: `Bearer ${key}` }) };
  try {
    const response = await fetch(path, { ...options, headers });
    if (response.status === 401) onRefusal();
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError("unreachable", `the service cannot be reached (${error.message}); is it running?`);
  }
}

async function refused(response) {
  const text = await response.text();
  let told;
  try {
    told = JSON.parse(text).error;
  } catch {
    told = null; // what a proxy says, or a file with errors in it
  }
  return new ServiceError(told?.code ?? `status ${response.status}`, told?.message ?? text.slice(0, 500));
}

function posted(body, signal, headers = {}) {
  return { method: "POST", body: JSON.stringify(body), signal, headers: { "Content-Type": JSON_TYPE, ...headers } };
}

/** A document of the service. */
export async function get(path) {
  const response = await send(path, { headers: { Accept: JSON_TYPE } });
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** The document that answers a request; structures that could not be answered have errors in it. */
export async function predict(body, signal) {
  const response = await send("predict", posted(body, signal));
  if (response.ok) return response.json();
  const copy = response.clone();
  const error = await refused(response);
  if (response.headers.get("Content-Type")?.startsWith(JSON_TYPE)) {
    const document = await copy.json();
    if (document.results) return document;
  }
  throw error;
}

/** The answer to a request as a file. */
export async function download(body, format) {
  const response = await send(`predict?format=${encodeURIComponent(format)}`, posted(body));
  if (!response.ok) throw await refused(response);
  return response.blob();
}

/** A picture of a model. */
export async function plot(model, name) {
  const response = await send(`models/${encodeURIComponent(model)}/plots/${encodeURIComponent(name)}`);
  if (!response.ok) throw await refused(response);
  return response.blob();
}

/** The job that a request became; of a task, where one is named. */
export async function submit(body, task = null) {
  const response = await send(task ? `jobs?task=${encodeURIComponent(task)}` : "jobs", posted(body));
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** The job, cancelled. */
export async function cancel(id) {
  const response = await send(`jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** Events of an answer, `{name, data}`, until its `end`. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ServiceError("broken", "the connection ended before the end was told; ask again");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith(":")) continue; // says that nothing has changed
      const [name, data] = part.split("\n").map((line) => line.slice(line.indexOf(":") + 2));
      yield { name, data: JSON.parse(data) };
      if (name === "end") return;
    }
  }
}

/** Events of a relaxation, or of a task. */
export async function* follow(body, signal, task = null) {
  const path = task ? `tasks/${encodeURIComponent(task)}` : "predict";
  const response = await send(path, posted(body, signal, { Accept: "text/event-stream" }));
  if (!response.ok) throw await refused(response);
  yield* events(response);
}

/** Events of a job. */
export async function* watch(id, signal) {
  const response = await send(`jobs/${encodeURIComponent(id)}/events`, { signal });
  if (!response.ok) throw await refused(response);
  yield* events(response);
}

/** Where results of a job are, as a file in a format. */
export function resultsPath(id, format) {
  return `jobs/${encodeURIComponent(id)}/results?stream=true&format=${format}`;
}

/** The results of a job as a file. */
export async function results(id, format) {
  const response = await send(resultsPath(id, format));
  if (!response.ok) throw await refused(response);
  return response.blob();
}

/** Save what was downloaded. */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The service: what is asked of it over HTTP, and its errors.

const JSON_TYPE = "application/json";

/** What the service refused, or why it could not be reached; `code` is the service's own. */
export class ServiceError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function send(path, options) {
  try {
    return await fetch(path, options);
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

/** The job that a request became. */
export async function submit(body) {
  const response = await send("jobs", posted(body));
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** The job, cancelled. */
export async function cancel(id) {
  const response = await send(`jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** Events of a relaxation, `{name, data}`, until its `end`. */
export async function* follow(body, signal) {
  const response = await send("predict", posted(body, signal, { Accept: "text/event-stream" }));
  if (!response.ok) throw await refused(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ServiceError("broken", "the connection ended before the relaxation did; ask again");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const [name, data] = part.split("\n").map((line) => line.slice(line.indexOf(":") + 2));
      yield { name, data: JSON.parse(data) };
      if (name === "end") return;
    }
  }
}

// Tasks on the page: the form of one, made of the service's own schema, its progress, and what it found.

import { drawProfile } from "./profile.js";
import { clearErrors } from "./errors.js";
import { get, saveAs } from "./service.js";

const byId = (id) => document.getElementById(id);
const LONG = 8; // numbers of a list that the table shows
const PLOTS = {
  scan: (value) => ({ x: value.values_deg ?? value.values_A, y: value.relative_energies_eV, xUnit: value.values_deg ? "degrees" : "Å", yUnit: "eV", dots: true }),
  eos: (value) => ({ x: value.volumes_A3, y: value.energies_eV.map((e) => e - value.energy_eV), xUnit: "Å³", yUnit: "eV above E0", dots: true }),
  phonons: (value) => ({
    x: value.band_distances_per_A, y: value.band_frequencies_THz, xUnit: "along the path", yUnit: "THz",
    marks: value.band_labels.map((label, i) => ({ label: label.replaceAll("G", "Γ"), at: value.band_label_distances_per_A[i] })),
  }),
};
let known = []; // tasks of the service
let shown = null; // {name, document}

/** The part of a schema that says what values there are, whatever else it may be. */
function kindOf(schema, root) {
  const stated = schema.anyOf?.find((each) => each.type !== "null") ?? schema;
  return stated.$ref ? root.$defs[stated.$ref.split("/").at(-1)] : stated;
}

function made(name, attributes = {}, text = "") {
  const element = document.createElement(name);
  Object.assign(element, attributes);
  element.textContent = text;
  return element;
}

function choices(values, preset) {
  const field = made("select");
  field.append(...values.map((value) => made("option", { value: String(value) }, String(value))));
  if (preset !== undefined) field.value = String(preset);
  return field;
}

/** The field of an option; empty fields are not sent. */
function fieldOf(schema, root, required) {
  const kind = kindOf(schema, root);
  const given = schema.default ?? undefined;
  if (kind.enum) return choices(required ? kind.enum : ["", ...kind.enum], required ? undefined : "");
  if (kind.type === "boolean") return choices(["", "true", "false"], "");
  const isNumber = kind.type === "number" || kind.type === "integer";
  const field = made("input", { type: isNumber ? "number" : "text", autocomplete: "off" });
  if (isNumber) field.step = kind.type === "integer" ? "1" : "any";
  field.placeholder = given === undefined ? (isNumber ? "" : "0, 1, 2") : String(given);
  return field;
}

function showOptions() {
  const task = known.find(({ name }) => name === byId("task").value);
  byId("task-about").textContent = task ? `${task.summary}.` : "";
  const { options } = task;
  byId("task-options").replaceChildren(...Object.entries(options.properties).flatMap(([name, schema]) => {
    const required = (options.required ?? []).includes(name);
    const label = made("label", { htmlFor: `task-${name}` }, `${name}${required ? " (to be stated)" : ""}`);
    const field = fieldOf(schema, options, required);
    field.id = `task-${name}`;
    field.name = name;
    const about = made("p", { className: "note", id: `task-${name}-about` }, schema.description ?? "");
    field.setAttribute("aria-describedby", about.id);
    return [label, field, about];
  }));
}

/** A value as it was typed: JSON, or numbers separated by commas or spaces, or a word. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    const parts = text.split(/[\s,]+/).filter(Boolean).map(Number);
    return parts.length > 1 && parts.every(Number.isFinite) ? parts : text;
  }
}

/** The task that is chosen, and its options as they stand in a body. */
export function chosen() {
  const fields = [...byId("task-options").querySelectorAll("[name]")].filter(({ value }) => value.trim());
  return { name: byId("task").value, options: Object.fromEntries(fields.map(({ name, value }) => [name, parsed(value)])) };
}

/** Say how far a task is. */
export function tell({ stage, done, total }) {
  const bar = byId("task-progress");
  bar.hidden = false;
  if (total === null) bar.removeAttribute("value");
  else {
    bar.max = total;
    bar.value = done;
  }
  byId("state").textContent = total === null ? `${stage}: ${done}` : `${stage}: ${done} of ${total}`;
}

/** Nothing is under way any more. */
export function rest() {
  byId("task-progress").hidden = true;
}

function brief(value) {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : Number(value.toPrecision(8)).toString();
  if (Array.isArray(value)) {
    if (value.length > LONG || (Array.isArray(value[0]) && value.length > 6)) return `${value.length} values`;
    return value.map(brief).join(", ");
  }
  if (value && typeof value === "object") return Object.entries(value).map(([name, each]) => `${name} ${brief(each)}`).join("; ");
  const text = String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Rows of a table: lists of objects are tables of their own. */
function rows(value) {
  return Object.entries(value).filter(([, each]) => !(Array.isArray(each) && typeof each[0] === "object" && !Array.isArray(each[0])));
}

function lists(value) {
  return Object.entries(value).filter(([, each]) => Array.isArray(each) && each.length && typeof each[0] === "object" && !Array.isArray(each[0]));
}

function table(caption, head, lines) {
  const element = made("table");
  element.append(made("caption", {}, caption));
  const top = made("thead"), row = made("tr");
  row.append(...head.map((text) => made("th", { scope: "col" }, text)));
  top.append(row);
  const body = made("tbody");
  body.append(...lines.map((cells) => {
    const line = made("tr");
    line.append(...cells.map((text) => made("td", {}, text)));
    return line;
  }));
  element.append(top, body);
  return element;
}

function listed(name, list) {
  const head = [...new Set(list.flatMap(Object.keys))].filter((key) => !["positions_A", "symbols"].includes(key));
  return table(name, head, list.map((each) => head.map((key) => (each[key] === undefined ? "" : brief(each[key])))));
}

/** Show what a task found, from the document that answers. */
export function show(name, document) {
  const { value } = document.results[0];
  byId("found").hidden = !value;
  if (!value) return;
  shown = { name, document };
  byId("found-title").textContent = `${name}: what was found`;
  byId("found-tables").replaceChildren(
    ...lists(value).map(([each, list]) => listed(each, list)),
    table("values, with units in their names", ["name", "value"], rows(value).map(([each, of]) => [each, brief(of)])),
  );
  const plot = PLOTS[name]?.(value);
  byId("profile-figure").hidden = !plot;
  if (plot) drawProfile(byId("profile"), byId("profile-text"), plot);
  byId("found-yaml").hidden = !value.phonopy_yaml;
  byId("found-csv").hidden = !plot;
}

/** Nothing was found yet. */
export function clear() {
  byId("found").hidden = true;
}

function csv({ x, y, xUnit, yUnit }) {
  const lines = x.map((at, i) => [at, ...[y[i]].flat().map((each) => each ?? "")].join(","));
  return [`${xUnit},${yUnit}`, ...lines, ""].join("\n");
}

/** Ask the service which tasks it has, and listen. */
export async function begin() {
  ({ tasks: known } = await get("tasks"));
  byId("task").replaceChildren(...known.map(({ name }) => made("option", { value: name }, name)));
  byId("task").addEventListener("change", () => {
    clearErrors(byId("tasks"));
    showOptions();
  });
  showOptions();
  const save = (id, name, text, type) => byId(id).addEventListener("click", () => saveAs(new Blob([text()], { type }), name()));
  save("found-json", () => `${shown.name}.json`, () => JSON.stringify(shown.document, null, 1), "application/json");
  save("found-csv", () => `${shown.name}.csv`, () => csv(PLOTS[shown.name](shown.document.results[0].value)), "text/csv");
  save("found-yaml", () => "phonopy_params.yaml", () => shown.document.results[0].value.phonopy_yaml, "text/yaml");
}

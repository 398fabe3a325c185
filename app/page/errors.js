// Errors: each stands next to the field that it is about, with the line of the file that it names.

const byId = (id) => document.getElementById(id);
const FIELDS = new Set(["fmax", "steps", "cell", "conformers", "model"]);
const MODEL_CODES = new Set(["unknown_model", "corrupt_model"]);
const STRUCTURE_CODES = new Set([
  "invalid_format", "invalid_structure", "invalid_request", "unsupported_element", "unsupported_charge",
  "doubtful_answer", "out_of_domain", "too_large",
]);

/** The field that an error is about: one of the form's, the structure's (`source`), or `ask`, the form. */
export function fieldOf(error, source) {
  const named = /^(?:relax\.)?(\w+):/.exec(error.message)?.[1];
  if (FIELDS.has(named)) return named;
  if (/^options\b/.test(error.message)) return "task";
  if (MODEL_CODES.has(error.code)) return "model";
  return STRUCTURE_CODES.has(error.code) ? source : "ask";
}

/** Show an error under a field. */
export function showError(field, message) {
  const place = byId(`${field}-error`);
  place.textContent = message;
  place.hidden = false;
  const input = byId(field);
  if (!input?.matches("input, select, textarea")) return;
  input.setAttribute("aria-invalid", "true");
  for (let up = input.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
  quote(place, input, message);
  input.focus();
}

/** Repeat the line that a message names, and select it where it was typed. */
function quote(place, input, message) {
  const number = Number(/\bline (\d+)/.exec(message)?.[1]);
  const lines = input.value.split("\n");
  if (input.tagName !== "TEXTAREA" || !(number >= 1 && number <= lines.length)) return;
  const line = document.createElement("code");
  line.textContent = `${number} | ${lines[number - 1]}`;
  place.append(line);
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  input.setSelectionRange(start, start + lines[number - 1].length);
}

/** Remove all errors within an element. */
export function clearErrors(within) {
  for (const place of within.querySelectorAll(".error")) {
    place.hidden = true;
    place.textContent = "";
  }
  for (const input of within.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** Numbers of the atoms that a message of the service names: `atom 3`, `atoms 3 and 4`. */
export function atomsIn(message) {
  const found = new Set();
  for (const [, list] of message.matchAll(/\batoms? (\d+(?: ?\([A-Z][a-z]?\))?(?:(?:, | and )\d+(?: ?\([A-Z][a-z]?\))?)*)/g)) {
    for (const [number] of list.matchAll(/\d+/g)) found.add(Number(number));
  }
  return found;
}

// The structure that is asked about: a SMILES, or the content of a file that was pasted, chosen or dropped.

import { clearErrors, showError } from "./errors.js";

const byId = (id) => document.getElementById(id);
const MOST_SHOWN = 300_000; // characters of a file that the text field shows
const GZIP = [0x1f, 0x8b];
let kept = null; // the content of a file that is too long to be shown

/** The field that holds the structure: `smiles` or `content`. */
export function sourceField() {
  return byId("smiles").value.trim() && !byId("content").value ? "smiles" : "content";
}

/** The item of `structures` that the form holds, or null where an error has been shown. */
export function item() {
  const smiles = byId("smiles").value.trim();
  const content = kept ?? byId("content").value;
  if (smiles && content.trim()) {
    showError("content", "both a SMILES and a file are given; clear one of them");
    return null;
  }
  if (!smiles && !content.trim()) {
    showError("smiles", "type a SMILES, draw a molecule, or paste or drop a file");
    return null;
  }
  const conformers = byId("conformers").value;
  const text = smiles ? { smiles } : { content, ...(byId("format").value && { format: byId("format").value }) };
  return conformers === "1" ? text : { ...text, conformers: Number(conformers) };
}

/** Put a SMILES into the form. */
export function setSmiles(smiles, conformers = "1") {
  setContent("");
  byId("smiles").value = smiles;
  byId("conformers").value = conformers;
}

function setContent(content) {
  const field = byId("content");
  kept = content.length > MOST_SHOWN ? content : null;
  field.readOnly = kept !== null;
  field.value = kept === null ? content : `(${content.length} characters; choose Clear to remove them)`;
}

async function textOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const zipped = GZIP.every((byte, i) => bytes[i] === byte);
  const stream = new Blob([bytes]).stream();
  const plain = zipped ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
  return new TextDecoder("utf-8", { fatal: true }).decode(await new Response(plain).arrayBuffer());
}

/** Take a file into the form. */
export async function takeFile(file) {
  clearErrors(byId("source"));
  let content;
  try {
    content = await textOf(file);
  } catch {
    showError("content", `${file.name} is no text, plain or compressed by gzip; unpack it first`);
    return;
  }
  setSmiles(""); // with one conformer: most files hold geometries
  setContent(content);
  const name = file.name.toLowerCase().replace(/\.gz$/, "");
  const known = [...byId("format").options].find((option) =>
    (option.dataset.names ?? "").split(" ").some((ending) => ending && name.endsWith(ending)));
  byId("format").value = known?.value ?? "";
}

async function takeOne(files) {
  if (files.length === 1) await takeFile(files[0]);
  else if (files.length) showError("content", `${files.length} files; drop one at a time, or post them to /predict as a form`);
}

/** Listen to the fields, and to files that are dropped anywhere. */
export function begin() {
  byId("file").addEventListener("change", (event) => takeOne(event.target.files));
  byId("content").addEventListener("input", () => { byId("format").value = ""; });
  byId("clear").addEventListener("click", () => {
    setSmiles("");
    byId("file").value = "";
    byId("format").value = "";
    clearErrors(byId("source"));
  });
  for (const example of document.querySelectorAll("[data-smiles]")) {
    example.addEventListener("click", () => setSmiles(example.dataset.smiles, example.dataset.conformers));
  }
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    takeOne(event.dataTransfer.files);
  });
}

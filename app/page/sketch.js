// The sketcher: OpenChemLib's editor, loaded when it is opened first.

import { showError } from "./errors.js";
import { setSmiles } from "./source.js";

const byId = (id) => document.getElementById(id);
let editor = null;

async function open() {
  const { CanvasEditor, Molecule } = await import("./vendor/openchemlib/openchemlib.js");
  editor = new CanvasEditor(byId("canvas"));
  const typed = byId("smiles").value.trim();
  if (typed) editor.setMolecule(Molecule.fromSmiles(typed));
  editor.setOnChangeListener(({ type, isUserEvent }) => {
    if (type === "molecule" && isUserEvent) setSmiles(editor.getMolecule().toIsomericSmiles(), byId("conformers").value);
  });
}

/** Open and close the sketcher by its button. */
export function begin() {
  const button = byId("draw");
  button.addEventListener("click", async () => {
    const panel = byId("sketch");
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (panel.hidden || editor) return;
    panel.setAttribute("aria-busy", "true");
    try {
      await open();
    } catch (error) {
      showError("smiles", `cannot be drawn: ${error.message}`);
    } finally {
      panel.setAttribute("aria-busy", "false");
    }
  });
}

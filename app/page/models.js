// Models: the choice of one, and what each is for.

import { get, plot } from "./service.js";

const byId = (id) => document.getElementById(id);
const MEASURES = [
  ["energy_per_atom_mae", "energy, MAE, meV/atom"], ["energy_per_atom_rmse", "energy, RMSE, meV/atom"],
  ["forces_mae", "force component, MAE, meV/Å"], ["forces_rmse", "force component, RMSE, meV/Å"],
];

const PLOTS = {
  "parity.png": "Predictions against labels, of data that were set aside",
  "calibration.png": "Errors of forces against their estimates",
};

const reference = ({ name, version }) => (version === null ? name : `${name}@${version}`);

function made(name, text = "", ...children) {
  const element = document.createElement(name);
  element.textContent = text;
  element.append(...children);
  return element;
}

/** Errors of a model by set of frames, from its card. */
function measures(metrics) {
  const sets = Object.keys(metrics ?? {}).filter((set) => MEASURES.some(([key]) => metrics[set]?.[key] !== undefined));
  if (!sets.length) return "";
  const table = made("table", "", made("caption", "Errors on its own data, as its card has them"));
  const head = table.createTHead().insertRow();
  for (const text of ["", ...sets.map((set) => `${set} (${metrics[set].frames ?? "?"} frames)`)]) {
    const cell = made("th", text);
    cell.scope = "col";
    head.append(cell);
  }
  for (const [key, label] of MEASURES) {
    const line = table.createTBody().insertRow();
    line.append(made("td", label), ...sets.map((set) => made("td", metrics[set][key]?.toFixed(1) ?? "")));
  }
  const scroll = made("div", "", table);
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Errors of the model");
  return scroll;
}

/** Pictures of how good a model is, asked for as all else is, since an image cannot send a key. */
async function pictures(model, names) {
  const figures = names.map(async (name) => {
    const image = document.createElement("img");
    image.src = URL.createObjectURL(await plot(model, name));
    image.alt = PLOTS[name] ?? name;
    return made("figure", "", image, made("figcaption", image.alt));
  });
  return Promise.all(figures);
}

async function article(model, answer) {
  const { card, summary } = answer;
  const list = made("ul", "", ...summary.map((sentence) => made("li", sentence)));
  const use = made("button", "Use it");
  use.type = "button";
  use.addEventListener("click", () => {
    byId("model").value = reference(model);
    byId("model").dispatchEvent(new Event("change"));
    location.hash = "#compute";
  });
  const facts = `${card.architecture}, ${card.dtype}, ${answer.runs_on}, ${card.license ?? "no licence stated"}, digest ${answer.digest.slice(0, 12)}`;
  const fact = made("p", facts);
  fact.className = "note";
  const figures = await pictures(reference(model), answer.plots);
  return made("article", "", made("h3", reference(model)), made("p", card.description), list, measures(card.metrics), ...figures, fact, use);
}

function refused(model) {
  const reason = made("p", `Not served: ${model.reason}`);
  reason.className = "error";
  return made("article", "", made("h3", reference(model)), reason);
}

/** What answers those who ask for an alias. */
function behind(shares) {
  return Object.entries(shares).map(([model, percent]) => `${model} for ${percent} % of callers`).join(", ");
}

function aliasList(aliases) {
  const lines = Object.entries(aliases).map(([name, shares]) => made("li", `${name}: ${behind(shares)}`));
  const article = made("article", "", made("h3", "Aliases"), made("ul", "", ...lines));
  article.id = "aliases";
  return article;
}

function about(models, defaults, aliases) {
  const chosen = byId("model").value;
  const model = models.find((each) => reference(each) === chosen);
  const choice = `Each structure has the first that is made for it: ${defaults.join(", ")}.`;
  const alias = () => (chosen in aliases ? `An alias: ${behind(aliases[chosen])}.` : choice);
  byId("model-about").textContent = model ? `${model.description} Elements: ${model.elements.join(", ")}.` : alias();
}

/** Fill the choice and the list. */
export async function begin() {
  const { models, defaults, aliases } = await get("models");
  const ready = models.filter((model) => model.status === "ready");
  const byStructure = defaults.length > 1; // which then is the first, and chosen
  const options = ready.map((model) => new Option(reference(model), reference(model), false, !byStructure && model.default));
  const names = Object.keys(aliases).map((name) => new Option(`${name} (alias)`, name));
  byId("model").replaceChildren(...(byStructure ? [new Option("by structure", "")] : []), ...options, ...names);
  byId("model").addEventListener("change", () => about(ready, defaults, aliases));
  about(ready, defaults, aliases);
  const articles = models.map(async (model) =>
    model.status === "ready" ? article(model, await get(`models/${encodeURIComponent(reference(model))}`)) : refused(model));
  const named = names.length ? [aliasList(aliases)] : [];
  byId("model-list").replaceChildren(...(await Promise.all(articles)), ...named);
}

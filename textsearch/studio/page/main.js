// The page: a form, the list of runs, and one run or two side by side. What is shown is in the address, after #.

import { ask, make } from "/page/dom.js";
import { buildForm } from "/page/form.js";
import { change, current, know, paint, say } from "/page/labels.js";
import { inWords, RunView } from "/page/run.js";

const runs = document.getElementById("runs"), welcome = document.getElementById("welcome");
const listed = document.getElementById("listed");
let views = [], form;

const shown = () => location.hash.slice(1).split(",").filter(Boolean);

function show() {
  const names = shown();
  for (const view of views.filter((one) => !names.includes(one.name))) view.close();
  views = names.map((name) => views.find((one) => one.name === name) || new RunView(name, (told) => {
    document.getElementById("new").open = true;
    form.use(told);
    document.getElementById("new").querySelector("select").focus();
  }));
  runs.classList.toggle("pair", views.length > 1);
  runs.replaceChildren(...(views.length ? views.map((view) => view.element) : [welcome]));
  list();
}

function started(names) {
  location.hash = names.join(",");
  if (matchMedia("(max-width: 900px)").matches) {
    document.getElementById("new").open = false;
    runs.scrollIntoView();
  } else scrollTo(0, 0);
}

async function list() {
  let all;
  try { all = await ask("/api/runs"); } catch { return; }
  const focused = document.activeElement && document.activeElement.dataset.name;
  listed.replaceChildren(...(all.length ? all.map((run) => {
    const told = run.submission;
    const what = told.task ? inWords(told.inputs[0])
      : told.terms.map((term) => term.name).join(" + ");
    return make("li", {}, make("button", { type: "button", "data-name": run.run,
      "aria-current": String(shown().includes(run.run)), onclick: () => started([run.run]) },
      make("span", { class: "bar" }, make("span", { class: "state", "data-state": run.state }, say(run.state)),
        make("span", { class: "soft" }, say(told.task || "energyOf"))),
      make("span", { class: "cut" }, what)));
  }) : [make("li", { class: "soft" }, say("noRuns"))]));
  if (focused) listed.querySelector(`[data-name="${focused}"]`)?.focus();
}

const THEMES = ["auto", "light", "dark"];

function theme(next) {
  const now = localStorage.getItem("theme") || "auto";
  const chosen = next ? THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] : now;
  localStorage.setItem("theme", chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  document.getElementById("theme").textContent = `${say("theme")}: ${say(chosen)}`;
}

function language() {
  document.getElementById("language").textContent = current() ? "English" : "中文";
  theme(false);
}

document.getElementById("theme").addEventListener("click", () => theme(true));
document.getElementById("language").addEventListener("click", () => {
  change();
  language();
  form.draw();
  for (const view of views) {
    view.frame();
    if (view.status) view.stand(view.status), view.take(), view.draw();
  }
  list();
});
document.getElementById("open").addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = event.target.querySelector(".error");
  error.textContent = "";
  try {
    started([(await ask("/api/open", { folder: event.target.elements.folder.value })).run]);
  } catch (problem) {
    error.textContent = problem.message;
  }
});
addEventListener("hashchange", show);
document.addEventListener("runs", list);

paint();
language();
const choices = await ask("/api/choices");
know(choices.chinese);
document.getElementById("open").hidden = !choices.folders;
form = buildForm(document.getElementById("form"), choices, started);
show();
setInterval(() => document.hidden || list(), 2000);

// The form of a new run: a task with its settings, or an energy of terms with weights.

import { ask, make } from "/page/dom.js";
import { current, pick, say } from "/page/labels.js";

export function buildForm(form, choices, started) {
  const kept = { kind: "keywords", terms: [["Fluency", 1, {}], ["Keywords", 1, {}], ["Length", 0.5, {}]], values: {} };

  function field(name, label, options = {}) {
    const { kind = "text", value = "", help: english, ...more } = options;
    // what tasks say of their settings is English; in Chinese the label says it
    const help = current() ? undefined : english;
    const id = `field-${name}`;
    if (kind === "flag")
      return make("label", { class: "flag", title: help }, make("input", { type: "checkbox", id, name, checked: value }), label);
    const input = kind === "lines" ? make("textarea", { rows: 2, id, name, value, ...more })
      : make("input", { type: kind === "text" ? "text" : "number", step: kind === "whole" ? 1 : "any", id, name,
        value, autocomplete: "off", ...more });
    return make("label", { title: help }, label, input);
  }

  function select(name, label, entries, value, changed) {
    return make("label", {}, label, make("select", { name, id: `field-${name}`, onchange: changed },
      ...entries.map(([key, text]) => make("option", { value: key, selected: key === value }, text))));
  }

  function termField(argument, own, index) {
    const value = argument.name in own ? own[argument.name] : argument.default ?? "";
    const text = Array.isArray(value) ? value.join(", ") : value;
    return field(`term-${index}-${argument.name}`, pick(argument.says),
      { kind: argument.kind === "words" ? "text" : argument.kind, value: text });
  }

  function terms() {
    const set = make("fieldset", {}, make("legend", {}, say("energy")));
    kept.terms.forEach(([name, weight, own], index) => {
      const term = choices.terms.find((one) => one.name === name);
      set.append(make("div", { class: "term" },
        make("div", { class: "bar" }, make("strong", {}, pick(term.says)),
          make("button", { type: "button", "aria-label": `${say("remove")} ${pick(term.says)}`,
            onclick: () => { remember(); kept.terms.splice(index, 1); draw(); } }, "×")),
        field(`weight-${index}`, say("weight"), { kind: "number", value: weight, min: 0 }),
        ...term.arguments.map((argument) => termField(argument, own, index))));
    });
    const add = make("select", { "aria-label": say("addTerm"), id: "add-term", onchange: (event) => {
      remember();
      kept.terms.push([event.target.value, 1, {}]);
      draw();
    } }, make("option", { value: "" }, `+ ${say("addTerm")}`),
      ...choices.terms.map((term) => make("option", { value: term.name }, pick(term.says))));
    set.append(add, field("start", say("startText"), { value: kept.values.start || "" }));
    return set;
  }

  function value(name, kind) {
    const input = form.elements[name];
    if (!input) return undefined;
    if (kind === "flag") return input.checked;
    if (kind === "whole" || kind === "number") return input.value === "" ? undefined : Number(input.value);
    return input.value;
  }

  function remember() {
    for (const input of form.elements)
      if (input.name) kept.values[input.name] = input.type === "checkbox" ? input.checked : input.value;
    if (kept.kind === "energy") kept.terms = kept.terms.map(([name], index) => {
      const term = choices.terms.find((one) => one.name === name);
      const own = Object.fromEntries(term.arguments
        .map((argument) => [argument.name, value(`term-${index}-${argument.name}`, argument.kind)])
        .filter(([, given]) => given !== undefined));
      return [name, value(`weight-${index}`, "number"), own];
    });
  }

  function draw() {
    const task = choices.tasks.find((one) => one.name === kept.kind);
    const own = kept.values, defaults = task || choices.energy;
    const samplers = [["own", say(task ? "own" : "ownEnergy")], ...choices.samplers.map((one) => [one.name, pick(one.says)])];
    const kinds = [...choices.tasks.map((one) => [one.name, pick(one.says)]), ["energy", say("energy")]];
    const focused = document.activeElement && document.activeElement.id;
    form.replaceChildren(...[
      select("kind", say("kind"), kinds, kept.kind, (event) => {
        remember();
        kept.kind = event.target.value;
        kept.values = { seed: own.seed };
        draw();
      }),
      !task ? terms() : task.fields.length
        ? make("fieldset", {}, ...task.fields.map((one) =>
          field(`ask-${one.name}`, pick(one.says), { value: own[`ask-${one.name}`] ?? (one.name === "template" ? "The * ran to the *." : ""), help: one.help })))
        : field("input", pick(task.asked), { kind: "lines", value: own.input ?? task.example, required: true }),
      task && task.name === "sample" ? make("select", { name: "language", "aria-label": say("language") },
        ...["regex", "grammar", "json_schema"].map((one) => make("option", { value: one, selected: own.language === one }, say(one)))) : null,
      task && task.name === "sample" ? field("written", say("written"), { kind: "lines", value: own.written ?? "2024-[0-9]{2}-[0-9]{2}" }) : null,
      make("div", { class: "row" },
        field("steps", say("steps"), { kind: "whole", value: own.steps ?? defaults.steps, min: 0, max: choices.limits.steps }),
        field("chains", say("chains"), { kind: "whole", value: own.chains ?? defaults.chains, min: 1, max: choices.limits.chains }),
        field("seed", say("seed"), { kind: "whole", value: own.seed ?? 0, min: 0 })),
      task && task.name === "sample" ? null : select("sampler", say("sampler"), samplers, own.sampler || "own"),
      task && task.name === "sample" ? null
        : select("second", say("second"), [["", say("none")], ...samplers], own.second || ""),
      make("details", {}, make("summary", {}, say("more")), make("fieldset", {},
        task && task.name === "sample" ? null
          : field("temperature", say("temperature"), { kind: "number", value: own.temperature ?? 1, min: 0 }),
        ...(task ? task.settings.filter((one) => !["regex", "grammar"].includes(one.name)).map((one) =>
          field(`set-${one.name}`, pick(one.says), { kind: one.kind, value: own[`set-${one.name}`] ?? one.default ?? "", help: one.help })) : []))),
      make("p", { class: "error", role: "alert", id: "form-error" }),
      make("div", { class: "bar" },
        make("button", { class: "lead", type: "submit", value: "" }, say("start")),
        make("button", { type: "submit", value: "paused" }, say("startPaused"))),
    ].filter(Boolean));
    if (focused) document.getElementById(focused)?.focus();
  }

  function submission() {
    const task = choices.tasks.find((one) => one.name === kept.kind);
    const told = { steps: value("steps", "whole"), chains: value("chains", "whole"), seed: value("seed", "whole"),
      sampler: value("sampler") || "own" };
    const heat = value("temperature", "number");
    if (heat !== undefined && heat !== 1) told.temperature = heat;
    if (!task) return { ...told, start: value("start"),
      terms: kept.terms.map(([name, weight, own]) => ({ name, weight, arguments: own })) };
    const settings = {};
    for (const one of task.settings) {
      const given = value(`set-${one.name}`, one.kind);
      if (given !== undefined && given !== "" && given !== one.default) settings[one.name] = given;
    }
    if (task.name === "sample") settings[value("language")] = value("written");
    const input = task.fields.length
      ? Object.fromEntries(task.fields.map((one) => [one.name, value(`ask-${one.name}`)]).filter(([, given]) => given))
      : value("input");
    return { ...told, task: task.name, inputs: [input], settings };
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    remember();
    const told = submission(), second = value("second");
    const paused = event.submitter && event.submitter.value === "paused";
    const error = document.getElementById("form-error");
    error.textContent = "";
    try {
      const runs = [await ask("/api/runs", { ...told, paused })];
      if (second) runs.push(await ask("/api/runs", { ...told, sampler: second, paused }));
      started(runs.map((run) => run.run));
    } catch (problem) {
      error.textContent = problem.message;
    }
  });

  function use(told) {
    kept.kind = told.task || "energy";
    kept.values = { steps: told.steps ?? undefined, chains: told.chains ?? undefined, seed: told.seed,
      sampler: told.sampler, temperature: told.temperature ?? undefined, start: told.start };
    const [first] = told.inputs;
    if (told.task === "write") for (const [name, given] of Object.entries(first)) kept.values[`ask-${name}`] =
      Array.isArray(given) ? given.join(name === "words" ? "-" : ", ") : given;
    else if (told.task) kept.values.input = Array.isArray(first) ? first.join(first.some((one) => one.includes(" ")) ? ", " : " ") : first;
    else kept.terms = told.terms.map((term) => [term.name, term.weight, term.arguments]);
    for (const [name, given] of Object.entries(told.settings)) {
      kept.values[`set-${name}`] = given;
      if (["regex", "grammar", "json_schema"].includes(name)) kept.values.language = name, kept.values.written = given;
    }
    draw();
  }

  draw();
  return { draw: () => { remember(); draw(); }, use };
}

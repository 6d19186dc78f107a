// One run: its state and its controls, its chains as they stand, a step looked at closely, charts, what to take away.

import { chart, colour } from "/page/chart.js";
import { ask, differences, finite, make, number } from "/page/dom.js";
import { pick, say, told } from "/page/labels.js";

const LIVE = ["queued", "building", "running", "paused"];

// an input of a task: a text, a set of keywords, or a request
export const inWords = (one) => Array.isArray(one) ? one.join(" ")
  : typeof one === "string" ? one : Object.values(one).join("; ");

export class RunView {
  constructor(name, use) {
    this.name = name;
    this.use = use;
    this.brief = [];
    this.last = null;
    this.status = null;
    this.chain = 0;
    this.place = null; // of the step that is looked at; null follows the newest
    this.numbers = { acceptance: {}, convergence: { points: [], why: ["", ""] } };
    this.element = make("article", { class: "run", "data-run": name });
    this.frame();
    this.connect();
    this.timer = setInterval(() => this.refresh(), 3000);
  }

  close() {
    this.source.close();
    clearInterval(this.timer);
    this.element.remove();
  }

  connect() {
    this.source = new EventSource(`/api/runs/${this.name}/events?from=${this.brief.length}`);
    this.source.addEventListener("status", (event) => this.stand(JSON.parse(event.data)));
    this.source.addEventListener("steps", (event) => {
      const told = JSON.parse(event.data);
      this.brief.length = told.from;
      this.brief.push(...told.steps);
      this.last = told.last;
      this.soon();
    });
    this.source.onopen = () => { this.error.textContent = ""; };
    this.source.onerror = () => {
      this.error.textContent = say("lost");
      this.source.close();
      setTimeout(() => this.element.isConnected && this.connect(), 1500);
    };
  }

  soon() {
    if (this.drawing) return;
    this.drawing = setTimeout(() => { this.drawing = null; this.draw(); }, 200);
  }

  frame() {
    const button = (action, lead) => make("button", { type: "button", class: lead ? "lead" : "", "data-action": action,
      onclick: () => this.act(action) }, say(action));
    this.title = make("h2", { class: "cut" });
    this.state = make("span", { class: "state", role: "status" });
    this.doing = make("span", { class: "soft" });
    this.error = make("p", { class: "error", role: "alert" });
    this.progress = make("progress", { max: 1, value: 0, "aria-label": say("steps") });
    this.best = make("p", { class: "best" });
    this.facts = make("div", { class: "numbers" });
    this.buttons = make("div", { class: "bar" }, button("resume", true), button("pause"), button("step"), button("stop"),
      make("button", { type: "button", onclick: () => this.status && this.use(this.status.submission) }, say("again")));
    this.chains = make("div", { class: "chains" });
    this.slider = make("input", { type: "range", min: 1, max: 1, value: 1, "aria-label": say("look"),
      oninput: () => this.lookAt(Number(this.slider.value) - 1) });
    this.at = make("output", { class: "soft" });
    this.look = make("div", { class: "look" });
    this.follow = make("button", { type: "button", onclick: () => { this.place = null; this.draw(); } }, say("follow"));
    this.charts = make("div", { class: "charts" });
    this.moves = make("div", { class: "scroll" });
    this.taken = make("div", {});
    this.answers = make("section", { class: "card answers", hidden: true });
    this.element.replaceChildren(
      make("section", { class: "card" }, make("div", { class: "bar" }, this.state, this.title), this.doing,
        this.progress, this.buttons, this.error),
      make("section", { class: "card" }, make("h3", {}, say("best")), this.best, this.facts),
      this.answers,
      make("section", { class: "card" }, this.chains),
      make("section", { class: "card" }, make("h3", {}, say("look")),
        make("div", { class: "pick" }, this.at, this.slider, this.follow), this.look),
      make("section", { class: "card" }, make("h3", {}, say("charts")), this.charts, this.moves),
      make("section", { class: "card" }, make("h3", {}, say("take")), this.taken));
  }

  async act(action) {
    this.error.textContent = "";
    try {
      this.stand(await ask(`/api/runs/${this.name}/do/${action}`, {}));
    } catch (problem) {
      this.error.textContent = problem.message;
    }
  }

  stand(status) {
    const before = this.status && this.status.state;
    this.status = status;
    const sent = status.submission;
    const what = sent.task ? sent.inputs.map(inWords).join(" | ") : sent.terms.map((term) => `${term.weight} ${term.name}`).join(" + ");
    // its own sampler is what nobody chose
    const sampler = sent.sampler === "own" ? [] : [sent.sampler];
    this.title.textContent = [say(sent.task || "energyOf"), what, ...sampler, `${say("seed")} ${sent.seed}`].join(" · ");
    this.title.title = this.title.textContent;
    this.state.textContent = say(status.state);
    this.state.dataset.state = status.state;
    this.doing.textContent = status.state === "building" || status.doing ? (status.doing ? told("waiting", status.doing) : say("building"))
      : status.before ? `${status.before} ${say("before")}` : "";
    this.error.textContent = status.state === "failed" ? status.error : "";
    const over = !LIVE.includes(status.state);
    const still = ["paused", "stopped", "failed"].includes(status.state);
    const able = { resume: still, step: still,
      pause: ["queued", "building", "running"].includes(status.state), stop: !over };
    for (const one of this.buttons.querySelectorAll("[data-action]")) {
      const focused = document.activeElement === one;
      one.disabled = !able[one.dataset.action];
      // the keyboard does not lose its place
      if (focused && one.disabled) this.buttons.querySelector("button:enabled")?.focus();
    }
    if (before !== status.state) this.refresh(), this.take(), document.dispatchEvent(new Event("runs"));
  }

  draw() {
    const event = this.last;
    if (!event) return;
    this.progress.max = event.steps || 1;
    this.progress.value = event.step;
    const low = (chain) => finite(chain.best_energy) ? chain.best_energy : chain.best_energy === "-inf" ? -Infinity : Infinity;
    const lowest = event.chains.reduce((a, b) => (low(b) < low(a) ? b : a));
    const none = low(lowest) === Infinity;
    this.best.textContent = none ? say("noneYet") : lowest.best;
    const recent = this.brief.slice(-20), [first, last] = [recent[0], recent[recent.length - 1]];
    const seconds = recent.length > 1 ? last.seconds - first.seconds : 0;
    const fact = (label, value) => make("span", {}, `${label} `, make("b", {}, value));
    this.facts.replaceChildren(
      ...(none ? [] : [fact(say("energyOf"), `${number(lowest.best_energy)} nats`)]),
      fact(say("stepNumber"), `${event.step} / ${event.steps}`),
      fact(say("stepRate"), seconds > 0 ? number((recent.length - 1) / seconds, 1) : "–"),
      fact(say("tokens"), seconds > 0 ? number((last.tokens - first.tokens) / seconds, 0) : "–"),
      fact(say("different"), `${Math.round(100 * this.brief[this.brief.length - 1].unique)} %`));
    this.slider.max = this.brief.length;
    if (this.place === null) this.shown = event, this.slider.value = this.brief.length;
    this.drawChains();
    this.drawLook();
    this.drawCharts();
  }

  drawChains() {
    const event = this.shown;
    const cards = event.chains.map((chain, index) => {
      const words = make("span", { class: "words" });
      const [proposal] = chain.proposals;
      if (chain.before && proposal) words.append(...coloured(chain, proposal));
      else words.append(chain.text);
      const verdict = !proposal ? say(chain.accepted ? "accepted" : "refused")
        : proposal.text === chain.before.text ? say("sameText")
        : chain.accepted ? `✓ ${say("accepted")}` : `✗ ${say("refused")}`;
      return make("button", { type: "button", class: "chain", "aria-pressed": String(index === this.chain),
        "data-accepted": String(chain.accepted),
        onclick: () => { this.chain = index; this.drawChains(); this.drawLook(); } },
        make("span", { class: "head" }, make("span", {}, `${say("chain")} ${index + 1} · ${told("moves", chain.move)}`),
          make("span", {}, verdict)),
        words,
        make("span", { class: "ratio" }, made(chain)),
        make("span", { class: "terms" }, finite(chain.energy) ? `E = ${summed(chain)}` : say("forbiddenText")),
        make("span", { class: "terms" }, `${say("best")}: ${
          finite(chain.best_energy) ? `${number(chain.best_energy)} · ${chain.best}` : say("noneYet")}`));
    });
    const focused = [...this.chains.children].indexOf(document.activeElement);
    this.chains.replaceChildren(...cards);
    if (focused >= 0) cards[focused]?.focus();
  }

  async lookAt(place) {
    this.place = place;
    const found = await ask(`/api/runs/${this.name}/events/${place}`);
    if (this.place !== place) return;
    this.shown = found;
    this.drawChains();
    this.drawLook();
  }

  drawLook() {
    const event = this.shown;
    this.at.textContent = `${say("stepNumber")} ${event.step}`;
    const chain = event.chains[Math.min(this.chain, event.chains.length - 1)];
    const blocks = [];
    const line = (name, value) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
    const ratio = !chain.proposals.some((one) => one.log_backward !== "-inf") ? say("noWay")
      : finite(chain.log_ratio) || chain.proposals.every((one) => Object.values(one.terms).includes("inf"))
        ? number(chain.log_ratio, 4) : say("tooHigh");
    if (!chain.proposals.length) blocks.push(make("p", { class: "soft" }, say("unchanged")));
    else blocks.push(make("div", {}, make("table", {}, make("tbody", {}, line(say("text"), chain.before.text),
      line(say("now"), chain.text), line(say("ratio"), ratio)))));
    for (const proposal of chain.proposals) {
      const names = Object.keys(proposal.terms);
      const value = (one) => one === "inf" ? say("forbidden") : one === null ? say("cut") : number(one, 4);
      const rows = [...names.map((name) => [told("terms", name), name, chain.before.terms[name], proposal.terms[name]]),
        [say("total"), say("total"), chain.before.energy, proposal.whole ? proposal.energy : null]];
      const open = names.some((name) => proposal.terms[name] === null) || !proposal.whole;
      blocks.push(make("div", {}, make("table", {}, make("tbody", {}, line(say("proposal"), proposal.text),
        line(say("forward"), number(proposal.log_forward, 4)), line(say("backward"), number(proposal.log_backward, 4)),
        line(say("energyPart"), energyPart(chain, proposal)))),
      make("table", {}, make("thead", {}, make("tr", {}, ...["term", "beforeValue", "proposedValue", "change"]
        .map((name) => make("th", { scope: "col" }, say(name))))),
      make("tbody", {}, ...rows.map(([label, name, before, after]) => make("tr", {}, make("th", { scope: "row" }, label),
        make("td", {}, value(before)), make("td", { "data-term": name }, value(after)),
        make("td", {}, finite(before) && finite(after) ? number(after - before, 4) : "–"))))),
      open && LIVE.includes(this.status?.state) ? make("button", { type: "button", onclick: async (click) => {
        try {
          Object.assign(proposal.terms, await ask(`/api/runs/${this.name}/explain`, { text: proposal.text, search: event.search, input: chain.input }));
          const values = Object.values(proposal.terms);
          proposal.energy = values.includes("inf") ? "inf" : values.reduce((a, b) => a + b, 0);
          proposal.whole = true;
          this.drawLook();
        } catch (problem) {
          click.target.after(make("p", { class: "error" }, problem.message));
        }
      } }, say("workOut")) : null));
    }
    this.look.replaceChildren(...blocks.filter(Boolean));
  }

  drawCharts() {
    const steps = this.brief, count = steps[0].energies.length;
    const each = (name) => [...Array(count).keys()].map((index) => ({ colour: colour(index, count),
      points: steps.map((step, at) => [at + 1, step[name][index]]) }));
    const best = { colour: "var(--text)", dashed: true, points: steps.map((step, at) =>
      [at + 1, Math.min(...step.best.filter(finite))]) };
    const one = (name, dashed) => ({ colour: "var(--lead)", dashed, points: steps.map((step, at) => [at + 1, step[name]]) });
    const rate = steps.map((step, at) => {
      const from = steps[Math.max(0, at - 10)];
      return [at + 1, at && step.seconds > from.seconds ? (step.tokens - from.tokens) / (step.seconds - from.seconds) : null];
    });
    const { points, why } = this.numbers.convergence;
    const curve = (name, bounds) => !points.length ? pick(why) : !points.some((point) => finite(point[name])) ? say("noValue")
      : chart([{ colour: "var(--lead)", points: points.map((point) => [point.step, point[name]]) }], say(name), bounds);
    const figures = [["energies", chart([...each("energies"), best], say("energies"))],
      ["r_hat", curve("r_hat", { low: 1 })],
      ["ess", curve("ess", { low: 0 })],
      ["lengths", chart(each("lengths"), say("lengths"))],
      ["diversity", chart([one("unique"), one("distinct", true)], say("diversity"), { low: 0, high: 1 })],
      ["speed", chart([{ colour: "var(--lead)", points: rate }], say("speed"), { low: 0 })]];
    this.charts.replaceChildren(...figures.map(([name, drawn]) => make("figure", { "data-chart": name },
      make("figcaption", {}, say(name)), typeof drawn === "string" ? make("p", { class: "soft" }, drawn) : drawn)));
    const kinds = Object.entries(this.numbers.acceptance);
    this.moves.replaceChildren(kinds.length ? make("table", {}, make("caption", { class: "soft" }, say("moves")),
      make("thead", {}, make("tr", {}, ...["move", "proposed", "accepted", "rate"].map((name) => make("th", { scope: "col" }, say(name))))),
      make("tbody", {}, ...kinds.map(([kind, { proposed, accepted }]) => make("tr", {}, make("th", { scope: "row" }, told("moves", kind)),
        make("td", {}, proposed), make("td", {}, accepted), make("td", {}, number(accepted / proposed)))))) : "");
  }

  async refresh() {
    if (document.hidden || !this.status || this.counted === `${this.status.state} ${this.brief.length}`) return;
    this.counted = `${this.status.state} ${this.brief.length}`;
    try {
      this.numbers = await ask(`/api/runs/${this.name}/numbers`);
      if (this.brief.length) this.drawCharts();
    } catch { /* told by the stream of events */ }
  }

  // what the task gives, in its own order
  async answer() {
    const lines = (await (await fetch(`/api/runs/${this.name}/files/texts.jsonl`)).text()).split("\n").filter(Boolean);
    const rows = lines.map((line) => JSON.parse(line)).slice(0, 20);
    const known = this.last ? Object.keys(this.last.chains[0].terms) : [];
    const others = this.last && rows.some((row) => Object.keys(row.terms ?? {}).some((name) => !known.includes(name)));
    this.answers.replaceChildren(make("h3", {}, say("answers")), make("ol", {}, ...rows.map((row) => make("li", {},
      row.text, " ", make("span", { class: "soft" }, finite(row.energy) ? summed(row) : "")))),
    others ? make("p", { class: "soft" }, say("lastSearch")) : "");
    if (!this.last && rows.length) this.best.textContent = rows[0].text;
  }

  async take() {
    const link = (kind, label) => make("a", { class: "button", href: `/api/runs/${this.name}/files/${kind}`, download: "" }, label);
    const block = async (kind, label) => {
      const text = await (await fetch(`/api/runs/${this.name}/files/${kind}`)).text();
      return make("details", {}, make("summary", {}, label), make("pre", { tabindex: 0, "data-file": kind }, text),
        make("button", { type: "button", onclick: () => navigator.clipboard.writeText(text) }, say("copy")));
    };
    const over = !LIVE.includes(this.status.state) && this.status.state !== "failed";
    this.answers.hidden = !over;
    try {
      if (over) await this.answer();
      this.taken.replaceChildren(
        make("div", { class: "bar" }, link("texts.jsonl", say("jsonl")), link("texts.csv", say("csv")),
          over ? link("figure.svg", say("figure")) : null, link("run.py", say("code"))),
        make("p", { class: "soft" }, say("same")),
        await block("run.py", say("code")), await block("command.txt", say("command")));
    } catch { /* told by the stream of events */ }
  }
}

function coloured(chain, proposal) {
  const kind = chain.accepted ? "yes" : "no";
  const shown = [];
  for (const part of differences(chain.before.text, proposal.text)) {
    if (part.kind === "same") shown.push(part.text);
    // what was refused stands beside what stayed, and what was accepted beside what went
    else if (part.kind === "new") shown.push(make(chain.accepted ? "ins" : "del", { class: kind }, part.text));
    else shown.push(make(chain.accepted ? "del" : "span", { class: chain.accepted ? "was" : "would" }, part.text));
  }
  return shown;
}

const summed = (one) => [number(one.energy), Object.entries(one.terms ?? {})
  .map(([name, value]) => `${told("terms", name)} ${number(value)}`).join(" + ")].filter(Boolean).join(" = ");

const energyPart = (chain, proposal, digits = 4) => finite(chain.log_ratio) && chain.proposals.length === 1
  ? number(chain.log_ratio - proposal.log_backward + proposal.log_forward, digits) : "–";

function made(chain) {
  const [proposal] = chain.proposals;
  if (!proposal || chain.proposals.length > 1) return `log r = ${number(chain.log_ratio)}`;
  if (proposal.log_backward === "-inf") return say("noWay");
  const energy = finite(chain.log_ratio) ? energyPart(chain, proposal, 2)
    : Object.values(proposal.terms).includes("inf") ? "−∞" : say("tooHigh");
  return `log r = ${finite(chain.log_ratio) ? number(chain.log_ratio) : "…"} = −ΔE/T (${energy}) + log q(x|x′) (${
    number(proposal.log_backward)}) − log q(x′|x) (${number(proposal.log_forward)})`;
}

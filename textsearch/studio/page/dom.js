// Small helpers: elements, numbers, requests. Text goes in as text, never as HTML.

export function make(tag, options = {}, ...children) {
  const one = tag === "svg" || options.svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "svg") continue;
    else if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
    else if (name === "value") one.value = value;
    else if (name === "checked") one.checked = value;
    else if (value !== undefined && value !== null && value !== false) one.setAttribute(name, value === true ? "" : value);
  }
  one.append(...children.filter((child) => child !== null && child !== undefined));
  return one;
}

export const number = (value, digits = 2) => {
  if (value === null || value === undefined) return "–";
  if (value === "inf") return "+∞";
  if (value === "-inf") return "−∞";
  return value.toFixed(digits).replace("-", "−");
};

export const finite = (value) => typeof value === "number";

export async function ask(path, told) {
  const options = told === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(told) };
  const answer = await fetch(path, options);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error || answer.statusText);
  return found;
}

// Words of `after` that are not in `before`, by the longest common subsequence; what was taken away is told too.
export function differences(before, after) {
  // words with the space before them, marks apart; texts without spaces, such as Chinese ones, by characters
  const cut = (text) => (/\s/.test(text.trim()) ? text.match(/\s*[\p{L}\p{N}\p{M}'’_-]+|\s*[^\s]|\s+/gu) || [] : [...text]);
  const a = cut(before), b = cut(after);
  const key = (word) => word.trim();
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i][j] = key(a[i]) === key(b[j]) ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  const found = [];
  const put = (kind, word) => {
    const last = found[found.length - 1];
    if (last && last.kind === kind) last.text += word;
    else found.push({ kind, text: word });
  };
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && key(a[i]) === key(b[j])) put("same", b[j]), i++, j++;
    else if (i < a.length && (j === b.length || best[i + 1][j] >= best[i][j + 1])) put("gone", a[i++]);
    else put("new", b[j++]);
  }
  return found;
}

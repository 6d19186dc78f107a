// What the page says, in English and Chinese.

const LABELS = {
  skip: ["Skip to the run", "跳到运行"],
  tagline: ["Watch chains sample text under an energy.", "观看马尔可夫链按能量抽样文本。"],
  new: ["New run", "新建运行"],
  runs: ["Runs", "运行列表"],
  folder: ["Open a run folder", "打开运行文件夹"],
  open: ["Open", "打开"],
  welcome: ["Nothing runs here yet", "还没有运行"],
  welcome1: [
    "Pick a task or build an energy from terms, then press Start. The first run loads the models, which takes some seconds.",
    "选择任务，或用若干项组成能量，然后点“开始”。首次运行要加载模型，需要几秒。"],
  welcome2: [
    "A run goes on if you close this tab, and after the server is started again.",
    "关闭标签页或重启服务器后，运行会继续。"],
  kind: ["What to run", "运行内容"],
  energy: ["An energy of terms", "由项组成的能量"],
  more: ["More settings", "更多设置"],
  sampler: ["Sampler", "采样器"],
  own: ["The task's own", "任务自带"],
  ownEnergy: ["Metropolis-Hastings (default)", "Metropolis-Hastings（默认）"],
  steps: ["Steps", "步数"],
  chains: ["Chains", "链数"],
  seed: ["Seed", "种子"],
  temperature: ["Temperature", "温度"],
  startText: ["Start text (empty: one is written)", "起始文本（空则自动写）"],
  second: ["Beside it, on the same seed", "并排比较（同一种子）"],
  none: ["Nothing", "无"],
  weight: ["Weight", "权重"],
  addTerm: ["Add a term", "添加一项"],
  remove: ["Remove", "移除"],
  start: ["Start", "开始"],
  startPaused: ["Start paused", "暂停状态开始"],
  pause: ["Pause", "暂停"],
  resume: ["Resume", "继续"],
  step: ["Step", "单步"],
  stop: ["Stop", "停止"],
  again: ["Use these settings", "套用设置"],
  queued: ["queued", "排队"],
  building: ["preparing", "准备中"],
  running: ["running", "运行中"],
  paused: ["paused", "已暂停"],
  stopped: ["stopped", "已停止"],
  done: ["done", "完成"],
  failed: ["failed", "失败"],
  before: ["before it in line", "排在前面"],
  best: ["Best so far", "目前最优"],
  noneYet: ["no text yet that the energy allows", "尚无能量允许的文本"],
  forbiddenText: ["at a text that the energy forbids", "当前文本被能量禁止"],
  energyOf: ["energy", "能量"],
  chain: ["Chain", "链"],
  accepted: ["accepted", "接受"],
  refused: ["refused", "拒绝"],
  unchanged: ["no proposal told", "未告知提议"],
  sameText: ["proposal leaves the text as it is", "提议未改变文本"],
  stepNumber: ["step", "步"],
  tokens: ["tokens/s", "词元/秒"],
  stepRate: ["steps/s", "步/秒"],
  different: ["texts that differ", "不同文本"],
  charts: ["Over time", "随时间变化"],
  energies: ["Energy of each chain, nats; the best dashed", "各链能量（nats），虚线为最优"],
  lengths: ["Length, tokens", "长度（词元）"],
  diversity: ["Diversity: distinct texts, distinct-2 dashed", "多样性：不同文本比例，虚线为 distinct-2"],
  r_hat: ["R-hat of the energy, second half", "能量的 R-hat（后半段）"],
  ess: ["Effective draws of the energy, second half", "能量的有效抽样数（后半段）"],
  noValue: ["no value: some chain stood still, or no two can be compared", "无值：有链未移动，或无可比较的链"],
  speed: ["Tokens a second", "每秒词元"],
  moves: ["Accepted by move", "各类移动的接受率"],
  move: ["move", "移动"],
  proposed: ["proposed", "提议"],
  rate: ["rate", "比率"],
  look: ["Look at a step", "查看某一步"],
  follow: ["Follow", "跟随"],
  text: ["Text before", "之前文本"],
  proposal: ["Proposal", "提议"],
  now: ["Text after", "之后文本"],
  forward: ["log q(x′|x), forward", "log q(x′|x) 正向"],
  backward: ["log q(x|x′), backward", "log q(x|x′) 反向"],
  energyPart: ["energy part: −ΔE / T", "能量部分：−ΔE / T"],
  ratio: ["log ratio", "对数比"],
  term: ["term", "项"],
  beforeValue: ["before", "之前"],
  proposedValue: ["proposed", "提议"],
  change: ["change", "变化"],
  cut: ["not worked out: refused before", "未计算：已被拒绝"],
  noWay: ["no move: it could not be undone, or was impossible", "无移动：不可逆或不可能"],
  tooHigh: ["too low to be accepted; the rest was not worked out", "低到不可能接受，其余未计算"],
  workOut: ["Work out every term", "计算每一项"],
  total: ["energy", "能量"],
  forbidden: ["forbidden (+∞)", "禁止（+∞）"],
  take: ["Take away", "导出"],
  jsonl: ["Texts, JSON lines", "文本 JSON lines"],
  csv: ["Texts, CSV", "文本 CSV"],
  figure: ["Figure", "图"],
  code: ["Python", "Python"],
  command: ["Command line", "命令行"],
  answers: ["Answers, with their energies", "答案，附能量"],
  lastSearch: ["The last search of the run judges its answers, by terms of its own: their energies are not those of the chains.",
    "答案由最后一轮搜索按其自身各项评定，能量与各链不同。"],
  same: ["The program and the command make this run again, bit for bit.", "以下程序和命令可逐位重现此运行。"],
  copy: ["Copy", "复制"],
  lost: ["The server does not answer; trying again.", "服务器无响应，正在重试。"],
  theme: ["Theme", "主题"],
  dark: ["Dark", "深色"],
  light: ["Light", "浅色"],
  auto: ["Auto", "自动"],
  noRuns: ["none yet", "暂无"],
  written: ["What the text must be", "文本须符合"],
  language: ["Kind of parser", "解析方式"],
  regex: ["Regular expression", "正则表达式"],
  grammar: ["Grammar (Lark)", "文法（Lark）"],
  json_schema: ["JSON schema", "JSON 模式"],
  keywords: ["keywords", "关键词造句"],
  paraphrase: ["paraphrase", "改写"],
  correct: ["correct", "纠错"],
  infill: ["infill", "填空"],
  write: ["write", "约束写作"],
  ask: ["ask", "提问"],
  sample: ["sample", "抽样"],
};

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

export const current = () => (language === "zh" ? 1 : 0);
export const say = (name) => (LABELS[name] ? LABELS[name][current()] : name);
export const pick = (both) => both[current()] || both[0];

// names that tasks and samplers give, in Chinese: {waiting, moves, terms}; what follows a name, such as a number, stays
let chinese = {};
export const know = (words) => { chinese = words; };
export function told(kind, name) {
  if (!current() || !chinese[kind]) return name;
  const [, head, rest] = name.match(/^([^\d:]*[^\d:\s])(.*)$/s) || [name, name, ""];
  const found = chinese[kind][head];
  return found ? found + rest.replace(" to ", " → ").replace(" of ", " / ") : name;
}

export function change() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  paint();
}

export function paint(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const one of root.querySelectorAll("[data-says]")) one.textContent = say(one.dataset.says);
}

// What the scripts say, in the page's language: the page brings it along as JSON (infra/web/language/script_words.py).

const parts = [...document.querySelectorAll('meta[name="words"]')].map((part) => JSON.parse(part.content));
const words = Object.assign({}, ...parts);
const language = document.documentElement.lang;

// The reader's own kind of the page's language, so that dates and numbers look as they are used to.
export const locale = navigator.languages.find((each) => each.split("-")[0] === language.split("-")[0]) ?? language;

// Some words are asked for: those that stand on no page until something happens.
export async function learn(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  Object.assign(words, await answer.json());
}

const rules = new Intl.PluralRules(language);

export function word(name, values = {}) {
  const text = typeof words[name] === "string" ? words[name] : words[name][rules.select(values.count)] ?? words[name].other;
  return text.replace(/\{(\w+)\}/g, (place, key) => values[key] ?? place);
}

// A number as the language writes it, with so many decimal places.
export const decimal = (value, digits) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });

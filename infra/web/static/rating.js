// Rating by keyboard: a number or y and n answer the question in turn, Enter saves. The page's own controls do the same.

const form = document.getElementById("rating");
const writing = (target) => target.matches?.("textarea, select, input:not([type=radio])") ?? false;
const questions = () => [...(form?.querySelectorAll("fieldset") ?? [])];
const answered = (question) => question.querySelector(":checked") !== null;

// The question in turn: where the focus is while it has no answer or was chosen by hand, else the first without one.
function inTurn(key) {
  const here = document.activeElement?.closest?.("#rating fieldset");
  if (here && answerTo(here, key)) return here;
  return questions().find((question) => !answered(question));
}

const answerTo = (question, key) => question?.querySelector(`[data-answer="${CSS.escape(key)}"]`);

function goOn(question) {
  const all = questions();
  const next = all.slice(all.indexOf(question) + 1).find((each) => !answered(each));
  const place = next?.querySelector("input") ?? form.querySelector("button.primary");
  place.focus({ preventScroll: true });
  place.closest("[data-code]")?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (!form || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  if (document.querySelector("dialog[open]") || writing(event.target)) return;
  if (event.key === "Enter") return save(event);
  const question = inTurn(event.key);
  const answer = answerTo(question, event.key);
  if (!answer) return;
  event.preventDefault();
  answer.click();
  goOn(question);
});

function save(event) {
  if (event.target.closest?.("button, a, summary")) return;
  event.preventDefault();
  form.requestSubmit(form.querySelector("button.primary"));
}

for (const button of form?.querySelectorAll("[data-clears]") ?? []) {
  button.hidden = false; // without a script it does nothing
  button.addEventListener("click", () => {
    for (const input of button.closest("[data-code]").querySelectorAll("input")) input.checked = false;
  });
}

(document.getElementById("fault") ?? document.getElementById("quote"))?.focus({ preventScroll: true });

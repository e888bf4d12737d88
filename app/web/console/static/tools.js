// A device's tools as forms, made from the JSON schemas of their arguments.

import { api, t } from "./console.js";
import { sure } from "./sure.js";

let fields = 0;

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function typeOf(schema) {
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  return types.find((type) => type && type !== "null") ?? (schema.properties ? "object" : "string");
}

/** One input: `read()` gives its value, undefined for none; it throws when what is written is not of the schema's kind. */
function inputFor(schema, isRequired) {
  const type = typeOf(schema);
  if (Array.isArray(schema.enum)) return choiceOf(schema.enum, schema.enum.map(String), schema.default, isRequired);
  if (type === "boolean" && !isRequired) return choiceOf([true, false], [t("common.yes"), t("common.no")], schema.default, false);
  if (type === "boolean") {
    const input = make("input", { type: "checkbox", checked: schema.default === true });
    return { input, read: () => input.checked };
  }
  if (type === "integer" || type === "number") return numberFor(schema, type, isRequired);
  if (type === "string") {
    const [least, most] = [lengthOf(schema.minLength) ?? 0, lengthOf(schema.maxLength)];
    const input = make(most > 200 ? "textarea" : "input", { required: isRequired && least > 0, value: schema.default ?? "" });
    if (most !== undefined && most >= least) input.maxLength = most;
    if (most === undefined || most >= least) input.minLength = least;
    return { input, read: () => (input.value === "" && !isRequired ? undefined : input.value) };
  }
  return jsonFor(schema, type, isRequired);
}

/** A length that an input knows, undefined for others: devices send what they like. */
function lengthOf(value) {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 31 ? value : undefined;
}

function choiceOf(values, names, preset, isRequired) {
  const choices = names.map((textContent, index) => make("option", { value: String(index), textContent }));
  if (!isRequired) choices.unshift(make("option", { value: "", textContent: t("device.tools.choose") }));
  const input = make("select", {}, ...choices);
  const chosen = values.indexOf(preset);
  if (chosen >= 0) input.value = String(chosen);
  return { input, read: () => (input.value === "" ? undefined : values[Number(input.value)]) };
}

function numberFor(schema, type, isRequired) {
  const { minimum, maximum } = schema;
  const isRange = isRequired && maximum - minimum > 0 && maximum - minimum <= 1000;
  const input = make("input", { type: isRange ? "range" : "number", required: isRequired });
  if (minimum !== undefined) input.min = minimum;
  if (maximum !== undefined) input.max = maximum;
  input.step = type === "integer" ? 1 : isRange ? (maximum - minimum) / 100 : "any";
  input.value = schema.default ?? (isRange ? Math.round((minimum + maximum) / 2) : (isRequired ? (minimum ?? 0) : ""));
  const read = () => (input.value === "" ? undefined : Number(input.value));
  if (!isRange) return { input, read };
  const shown = make("output", { textContent: input.value });
  input.addEventListener("input", () => { shown.textContent = input.value; });
  return { input, read, beside: shown };
}

function jsonFor(schema, type, isRequired) {
  const empty = type === "array" ? "[]" : "{}";
  const preset = schema.default === undefined ? (isRequired ? empty : "") : JSON.stringify(schema.default);
  const input = make("textarea", { value: preset, spellcheck: false });
  const read = () => {
    if (input.value.trim() === "" && !isRequired) return undefined;
    let value;
    try {
      value = JSON.parse(input.value);
    } catch {
      value = undefined;
    }
    const isRight = type === "array" ? Array.isArray(value) : value !== null && typeof value === "object" && !Array.isArray(value);
    if (!isRight) throw new Error(t("device.tools.not_json", { kind: empty }));
    return value;
  };
  return { input, read };
}

function fieldFor(name, schema, isRequired) {
  const { input, read, beside } = inputFor(schema, isRequired);
  fields += 1;
  input.id = `argument-${fields}`;
  const label = make("label", { htmlFor: input.id }, make("code", { textContent: name }));
  if (!isRequired) label.append(" ", make("small", { textContent: `(${t("device.tools.optional")})` }));
  if (input.tagName === "TEXTAREA" && ["object", "array"].includes(typeOf(schema))) label.append(` · ${t("device.tools.json")}`);
  const row = make("div", { className: input.type === "checkbox" || beside ? "field across" : "field" }, label, input);
  if (beside) row.append(beside);
  if (schema.description) {
    const hint = make("small", { id: `${input.id}-hint`, textContent: schema.description });
    input.setAttribute("aria-describedby", hint.id);
    row.append(hint);
  }
  return { row, read };
}

/** The form of one tool, in a `details`; `path`: of the device in the API. */
function formFor(tool, path) {
  const { properties = {}, required = [] } = tool.parameters;
  const made = Object.entries(properties).map(([name, schema]) => [name, fieldFor(name, schema ?? {}, required.includes(name))]);
  const button = make("button", { className: tool.for_people ? "danger" : "primary", textContent: t("device.tools.call") });
  const answer = make("output", { className: "answer", hidden: true });
  answer.setAttribute("aria-live", "polite");
  const form = make("form", { className: "stack" }, ...made.map(([, field]) => field.row), make("div", { className: "row" }, button), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (tool.for_people && !(await sure("tool", t("device.tools.sure", { name: tool.name })))) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      const values = made.map(([name, field]) => [name, field.read()]).filter(([, value]) => value !== undefined);
      const said = await api("POST", `${path}/tools/call`, { name: tool.name, arguments: Object.fromEntries(values) });
      show(answer, said.result === "answered", said.text);
    } catch (error) {
      show(answer, false, error.message);
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
  const summary = make("summary", {}, make("code", { textContent: tool.name }));
  if (tool.for_people) {
    const mark = make("span", { className: "badge", textContent: t("device.tools.for_people"), title: t("device.tools.for_people.explain") });
    mark.dataset.state = "warn";
    summary.append(" ", mark);
  }
  return make("details", { className: "tool" }, summary, make("p", { className: "faint small", textContent: tool.description }), form);
}

function show(answer, isGood, text) {
  answer.hidden = false;
  answer.dataset.state = isGood ? "ok" : "bad";
  answer.replaceChildren(
    make("span", { className: "small faint", textContent: t(isGood ? "device.tools.answered" : "device.tools.failed") }),
    make("pre", { textContent: text === "" ? "–" : text }),
  );
}

/** Asks the device for its tools and puts their forms into `place`. */
export async function showTools(place, path) {
  let answer;
  try {
    answer = await api("GET", `${path}/tools`);
  } catch (error) {
    place.replaceChildren(make("p", { className: "notice", textContent: error.message }));
    place.firstChild.dataset.state = "warn";
    return;
  }
  const tools = [...answer.tools].sort((one, other) => Number(one.for_people ?? false) - Number(other.for_people ?? false));
  if (!tools.length) {
    place.replaceChildren(make("p", { className: "faint", textContent: t("device.tools.none") }));
    return;
  }
  place.replaceChildren(...tools.map((tool) => formFor(tool, path)));
}

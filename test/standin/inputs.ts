import { hasUnknown, isObject, type Props, UNKNOWN } from "../../plugin/values.ts";
import { type Asked, nameOf } from "./cloud.ts";
import type { Made, Rule } from "./rules/types.ts";
import { emptyOf, typingOf } from "./typings.ts";
import { valuesAt } from "./world.ts";

/** Random digits that Pulumi puts behind a logical name. */
const RANDOM_DIGITS = 7;

/** Inputs as the provider keeps them (names made up), and what is wrong with them. */
export function checkInputs(
  { type, urn }: Asked,
  rule: Rule,
  olds: Props | undefined,
  news: Props,
  seed: string,
): { inputs: Props; failures: { property: string; reason: string }[] } {
  const failures: { property: string; reason: string }[] = [];
  const fail = (property: string, reason: string) => failures.push({ property, reason });
  const inputs: Props = { ...news };
  nameIt(rule, urn, inputs, olds, seed);
  const typing = typingOf(type);
  for (const [property, required] of typing?.inputs ?? []) {
    if (required && inputs[property] === undefined) fail(property, `${property} is required`);
  }
  for (const property of typing ? Object.keys(inputs) : []) {
    if (!property.startsWith("__") && !typing?.inputs.has(property)) {
      fail(property, `${property} is no input of ${type}`);
    }
  }
  const name = rule.name && inputs[rule.name.property];
  if (rule.name && typeof name === "string" && !hasUnknown(name)) {
    const { property, max, pattern } = rule.name;
    if (name.length > max) fail(property, `${name} has ${name.length} characters, at most ${max}`);
    if (pattern && !pattern.test(name)) fail(property, `${name} does not match ${pattern}`);
  }
  for (const [path, allowed] of Object.entries(rule.values ?? {})) {
    for (const value of valuesAt(inputs, path)) {
      if (hasUnknown(value)) continue;
      const why = refuseValue(value, allowed);
      if (why) fail(path, why);
    }
  }
  for (const fault of rule.faults?.(inputs) ?? []) {
    if (fault) fail("", fault);
  }
  return { inputs, failures };
}

function refuseValue(
  value: unknown,
  allowed: readonly unknown[] | RegExp | readonly [number, number],
): string | null {
  const shown = JSON.stringify(value);
  if (allowed instanceof RegExp) {
    return allowed.test(String(value)) ? null : `${shown} does not match ${allowed}`;
  }
  const list: readonly unknown[] = allowed;
  const [min, max] = list;
  if (list.length === 2 && typeof min === "number" && typeof max === "number") {
    const number = Number(value);
    return number >= min && number <= max ? null : `${shown} is not within ${min} to ${max}`;
  }
  return list.includes(value) ? null : `${shown} is none of ${list.join(", ")}`;
}

function nameIt(rule: Rule, urn: string, inputs: Props, olds: Props | undefined, seed: string) {
  if (!rule.name || rule.name.required) return;
  const { property, lower } = rule.name;
  const prefixed = inputs[`${property}Prefix`] !== undefined;
  if (inputs[property] !== undefined || prefixed) return;
  const before = olds?.__made === property ? olds[property] : undefined;
  const logical = lower ? nameOf(urn).toLowerCase() : nameOf(urn);
  inputs[property] = before ?? `${logical}-${seed.slice(0, RANDOM_DIGITS)}`;
  inputs.__made = property;
}

/** What AWS tells of a resource that exists. */
export function stateOf(type: string, rule: Rule, made: Made, id: string): Props {
  const inputs = Object.fromEntries(
    Object.entries(made.inputs).filter(([key]) => !key.startsWith("__")),
  );
  const computed = rule.computed?.(made, id) ?? {};
  const outputs = typingOf(type)?.outputs;
  const state: Props = {};
  for (const [property, typing] of outputs ?? []) {
    if (typing.optional || property in computed || property in inputs) continue;
    state[property] = standard(property, inputs, made) ?? emptyOf(typing);
  }
  return { ...state, ...inputs, ...computed };
}

/** What most types have. */
function standard(property: string, inputs: Props, { scope }: Made): unknown {
  if (property === "region") return scope.region;
  if (property === "ownerId" || property === "accountId") return scope.account;
  if (property === "tagsAll") return inputs.tags ?? {};
  return undefined;
}

/** What is known before anything is made: inputs; all that AWS decides is unknown. */
export function previewState(type: string, rule: Rule, made: Made, old?: Props): Props {
  const inputs = Object.fromEntries(
    Object.entries(made.inputs).filter(([key]) => !key.startsWith("__")),
  );
  const computed = rule.computed?.(made, UNKNOWN) ?? {};
  const outputs = typingOf(type)?.outputs;
  const unknown: Props = {};
  for (const [property, { optional }] of outputs ?? []) if (!optional) unknown[property] = UNKNOWN;
  for (const key of Object.keys(computed)) unknown[key] = UNKNOWN;
  const state: Props = { ...unknown, ...old, ...inputs };
  for (const [key, value] of Object.entries(computed)) {
    if (isObject(inputs[key]) && !isObject(old?.[key])) state[key] = blank(value, inputs[key]);
    else if (isObject(inputs[key])) state[key] = { ...(old?.[key] as Props), ...inputs[key] };
  }
  return state;
}

/** Parts of a computed value that no input gives are unknown. */
function blank(value: unknown, given: unknown): unknown {
  if (given === undefined) return UNKNOWN;
  if (!isObject(value) || !isObject(given)) return given;
  return Object.fromEntries(
    [...new Set([...Object.keys(value), ...Object.keys(given)])].map((key) => [
      key,
      blank(value[key], given[key]),
    ]),
  );
}

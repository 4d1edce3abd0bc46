import { expect, test } from "vitest";
import { HiddenUsage } from "../../../gateway/limits/hidden-usage.ts";

const event = (value: unknown) =>
  `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
const USAGE = event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } });
const DONE = event("[DONE]");

test.each([
  ["an answer in two parts", [event({ choices: [{ delta: { content: "ü" } }] }), event({})]],
  ["an answer that speaks of usage", [event({ choices: [{ delta: { content: '"usage"' } }] })]],
  ["usage beside text", [event({ choices: [{}], usage: { prompt_tokens: 1 } })]],
  ["an event longer than any usage", [event({ choices: [{ delta: "x".repeat(9_000) }] })]],
  ["a comment, and what is no JSON", [": alive\n\n", event('"usage"'), "data: {\n\n"]],
])("%s is passed on without the event of usage, however it is cut", (_, events) => {
  const text = events.join("");
  for (const size of [1, 2, 5, 4_097, 100_000]) {
    const filter = new HiddenUsage();
    const bytes = Buffer.from(`${text}${USAGE}${DONE}`);
    const shown: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      shown.push(filter.push(bytes.subarray(at, at + size)));
    }
    shown.push(filter.rest());
    expect(Buffer.concat(shown).toString()).toBe(`${text}${DONE}`);
  }
});

test("an event is passed on as soon as it is whole, and what has no end at the end", () => {
  const filter = new HiddenUsage();
  expect(filter.push(Buffer.from(event({ choices: [{}] }))).length).toBeGreaterThan(0);
  expect(filter.push(Buffer.from("data: half")).toString()).toBe("");
  expect(filter.rest().toString()).toBe("data: half");
});

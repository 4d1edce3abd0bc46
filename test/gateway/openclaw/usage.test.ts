import { expect, test } from "vitest";
import { toolKind, UsageCounter } from "../../../gateway/openclaw/usage.ts";

const event = (id: string, message: object) => ({ agentId: "main", messageId: id, message });
const usage = { input: 10, output: 3, cacheRead: 0, cacheWrite: 4 };

test("each stored answer counts once, with what it has", () => {
  const counter = new UsageCounter();
  const content = [
    { type: "text", text: "x" },
    { type: "toolCall", name: "ls" },
    { type: "toolCall", name: "read" },
    { type: "toolCall", name: "browser" },
  ];
  const answer = event("1", { role: "assistant", usage, content });
  expect(counter.read(answer)).toEqual({
    agent: "main",
    input: 10,
    output: 3,
    cacheWrite: 4,
    toolCalls: [
      { kind: "files", count: 2 },
      { kind: "browser", count: 1 },
    ],
  });
  expect(counter.read(answer)).toBeNull();
});

test("questions, and answers without numbers, add nothing", () => {
  const counter = new UsageCounter();
  expect(counter.read(event("1", { role: "user", usage, content: "q" }))).toBeNull();
  expect(counter.read(event("2", { role: "assistant", content: "a" }))).toBeNull();
  expect(counter.read(null)).toBeNull();
});

test("tools have a fixed set of kinds", () => {
  expect(["browser", "github__search", "exec", "web_fetch", "whatever"].map(toolKind)).toEqual([
    "browser",
    "mcp",
    "exec",
    "web",
    "other",
  ]);
});

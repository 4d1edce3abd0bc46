import { afterEach, expect, test, vi } from "vitest";
import { result } from "../../../cli/lib/terminal.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function printed(document: unknown): unknown {
  let text = "";
  vi.spyOn(process.stdout, "write").mockImplementation((part) => {
    text += part;
    return true;
  });
  result(true, document, () => "for people");
  return JSON.parse(text);
}

test("every object that --json prints says its version, first", () => {
  expect(Object.entries(printed({ shards: [] }) as object)).toEqual([
    ["version", 1],
    ["shards", []],
  ]);
});

test.each([
  ["a list", [{ id: "s1" }]],
  ["an object that has a version", { shards: [], version: "0.1.0" }],
  ["a form that is not ours", { kind: "Config", apiVersion: "v1" }],
  ["nothing", null],
])("%s is printed as it is", (_, document) => {
  expect(printed(document)).toEqual(document);
});

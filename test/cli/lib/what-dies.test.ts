import { expect, test } from "vitest";
import { placeOf, whatDies } from "../../../cli/lib/what-dies.ts";

const OUTPUTS = { endpoint: "https://chat.example.com", nodes: ["a", "b"], shards: ["s1"] };
const AWS = { target: "eks", aws: { accountId: "210987654321", region: "eu-central-1" } };

test("a destroy on AWS names account, region, fleet, nodes and shards", () => {
  const text = whatDies("team", OUTPUTS, AWS);
  for (const part of ["team", "210987654321", "eu-central-1", "a, b", "s1", OUTPUTS.endpoint]) {
    expect(text).toContain(part);
  }
});

test("what happens to data is said as the settings have it", () => {
  expect(whatDies("team", OUTPUTS, AWS)).toContain("DELETED");
  expect(whatDies("team", OUTPUTS, { ...AWS, keepData: true })).toContain("LAST SNAPSHOT");
  expect(whatDies("team", OUTPUTS, { ...AWS, target: "ec2", keepData: true })).toContain(
    "state volumes leave a LAST SNAPSHOT",
  );
  expect(whatDies("dev", OUTPUTS, { keepData: true })).toContain("KEPT on disk");
  expect(whatDies("dev", {}, {})).toContain("none recorded");
});

test("a stack on this machine or on one's own hosts is in no account", () => {
  expect(placeOf({})).toBeNull();
  expect(placeOf({ target: "hosts", aws: AWS.aws })).toBeNull();
});

import { expect, test } from "vitest";
import {
  keepsAtDestroy,
  placeOf,
  recordedKeeping,
  refuseOtherEnd,
  whatDies,
} from "../../../cli/lib/what-dies.ts";

const OUTPUTS = { endpoint: "https://chat.example.com", nodes: ["a", "b"], shards: ["s1"] };
const AWS = { target: "eks", aws: { accountId: "210987654321", region: "eu-central-1" } };

test("a destroy on AWS names account, region, fleet, nodes and shards", () => {
  const text = whatDies("team", OUTPUTS, AWS, false);
  for (const part of ["team", "210987654321", "eu-central-1", "a, b", "s1", OUTPUTS.endpoint]) {
    expect(text).toContain(part);
  }
});

test("what happens to data is said, the bucket of replicas too", () => {
  expect(whatDies("team", OUTPUTS, AWS, false)).toContain("DELETED");
  expect(whatDies("team", OUTPUTS, AWS, true)).toContain("LAST SNAPSHOT");
  expect(whatDies("team", OUTPUTS, { ...AWS, target: "ec2" }, true)).toContain(
    "state volumes leave a LAST SNAPSHOT",
  );
  expect(whatDies("dev", OUTPUTS, {}, true)).toContain("KEPT on disk");
  expect(whatDies("dev", {}, {}, false)).toContain("none recorded");
  const replication = { s3: { bucket: "backups" } };
  expect(whatDies("vps", OUTPUTS, { target: "hosts", replication }, false)).toContain("backups");
});

const resource = (inputs: Record<string, unknown>) => ({ urn: "u", type: "t", inputs });

test("a destroy goes by the last up: what it deletes is never said to be kept", () => {
  const [kept, deleted] = [resource({ keepData: true }), resource({ keepData: false })];
  expect(recordedKeeping([resource({})])).toBeNull();
  expect(recordedKeeping([kept, deleted])).toBe(false);
  expect(recordedKeeping([resource({ skipFinalSnapshot: false })])).toBe(true);
  expect(keepsAtDestroy("dev", { keepData: true }, [kept])).toBe(true);
  expect(keepsAtDestroy("dev", {}, [kept])).toBe(true);
  expect(keepsAtDestroy("dev", {}, [deleted])).toBe(false);
  expect(keepsAtDestroy("dev", { keepData: true }, [])).toBe(true);
  expect(() => keepsAtDestroy("dev", { keepData: true }, [kept, deleted])).toThrow(
    "conversations of dev would be deleted",
  );
});

test("a stack on this machine or on one's own hosts is in no account", () => {
  expect(placeOf({})).toBeNull();
  expect(placeOf({ target: "hosts", aws: AWS.aws })).toBeNull();
});

test("what was shown is what is done: another run may have changed it meanwhile", () => {
  refuseOtherEnd("dev", true, true);
  refuseOtherEnd("dev", false, false);
  expect(() => refuseOtherEnd("dev", true, false)).toThrow(
    "another run changed what would be kept of dev",
  );
  expect(() => refuseOtherEnd("dev", false, true)).toThrow("Nothing was destroyed");
});

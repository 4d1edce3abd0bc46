import { expect, test } from "vitest";
import { mergeParts } from "../../../components/host/merge.ts";

const dir = { owner: "openclaw", group: "openclaw", mode: "0750" };

test("what two parts say alike is one thing, and packages come sorted and once", () => {
  const plan = mergeParts([
    { packages: ["nginx", "etcd"], directories: { "/a": dir } },
    { packages: ["etcd"], directories: { "/a": { ...dir }, "/b": dir } },
  ]);
  expect(plan.packages).toEqual(["etcd", "nginx"]);
  expect(Object.keys(plan.directories)).toEqual(["/a", "/b"]);
  expect(plan.units).toEqual({});
});

test("two parts that differ about one path are refused, and every such path is named", () => {
  const merge = () =>
    mergeParts([
      { directories: { "/a": dir }, users: { x: { home: "/x" } } },
      { directories: { "/a": { ...dir, mode: "0700" } }, users: { x: { home: "/y" } } },
    ]);
  expect(merge).toThrow(/\/a \(directories\)/);
  expect(merge).toThrow(/x \(users\)/);
});

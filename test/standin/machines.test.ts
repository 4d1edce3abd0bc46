import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { Cloud } from "./cloud.ts";
import { instanceChange, machineOf, tell } from "./machines.ts";
import { World } from "./world.ts";

const MACHINES = {
  a: { address: "10.1.2.10", publicAddress: "10.1.2.110" },
  b: { address: "10.1.2.11", publicAddress: "10.1.2.111" },
};
const urn = (name: string) => `urn:pulumi:test::openclaw-fleet::some:index:Type::${name}`;
const furnished = () => {
  const world = new World();
  world.settings = { machines: MACHINES };
  return world;
};

describe("machines that are there", () => {
  test.each([
    ["test-hosts-a", "a"],
    ["test-hosts-a-interface", "a"],
    ["test-edge-b-address", "b"],
  ] as const)("%s belongs to the machine of %s", (name, node) => {
    expect(machineOf(urn(name), furnished())).toEqual(MACHINES[node]);
  });

  test.each(["test-hosts-c", "test-hosts", "test-nat-eu-central-1a"])(
    "%s belongs to none, and its addresses are made up",
    (name) => {
      expect(machineOf(urn(name), furnished())).toBeUndefined();
      expect(machineOf(urn(name), new World())).toBeUndefined();
    },
  );

  test("a fixed address of a node is that of its machine", () => {
    const type = "aws:ec2/eip:Eip";
    const scope = { account: "123456789012", region: "eu-central-1", caller: "" };
    const made = (name: string) =>
      new Cloud(furnished()).create({ type, urn: urn(name), scope }, { domain: "vpc" }).state;
    expect(made("test-edge-a").publicIp).toBe("10.1.2.110");
    expect(made("test-nat").publicIp).toMatch(/^198\.51\.100\./);
  });

  test("whoever has the machines is told what an instance became", () => {
    const state = { instanceType: "t3.medium" };
    const done = { urn: urn("test-hosts-a"), id: "i-1", state };
    const change = { op: "create", node: "a", instanceId: "i-1", instanceType: "t3.medium" };
    expect(instanceChange("create", done, furnished())).toEqual(change);
    expect(instanceChange("create", done, new World())).toBeNull();
  });

  test("a machine that did not do what AWS says fails the change, in its words", async () => {
    const server = createServer((_, response) => response.writeHead(500).end("no power"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const change = { op: "create", node: "a", instanceId: "i-1", instanceType: "" } as const;
    await expect(tell(`http://127.0.0.1:${port}/`, change)).rejects.toThrow("i-1: no power");
    server.close();
  });
});

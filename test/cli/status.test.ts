import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NO_FLEET } from "../../components/edge/answers.ts";
import { Home } from "./fixtures.ts";

let home: Home;
let edge: Server;
beforeAll(async () => {
  edge = createServer((_, response) => response.writeHead(NO_FLEET.status).end(NO_FLEET.body));
  await new Promise<void>((resolve) => edge.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(edge.address() as AddressInfo).port}`;
  home = new Home();
  // The stack whose settings the sample Pulumi.prod.yaml holds: target eks.
  home.stacks({
    prod: { endpoint, target: "eks", preset: "medium", nodes: ["a"], shards: ["s1"] },
  });
});
afterAll(() => {
  home.remove();
  edge.close();
});

describe("a stack on EKS, where nothing runs yet", () => {
  test("status says so, and is readable", async () => {
    const { code, stdout } = await home.run(["status", "--stack", "prod"]);
    expect(stdout).toContain("prod · medium · eks · DOWN: no fleet runs here yet");
    expect(code).toBe(0);
  });

  test("status --check is 1, its JSON the form that programs know", async () => {
    const { code, stdout } = await home.run(["status", "--stack", "prod", "--check", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      fleet: "prod",
      nodes: [],
      shards: [],
      status: "down",
      answer: "no_fleet",
      planned: { nodes: ["a"], shards: ["s1"] },
    });
    expect(code).toBe(1);
  });

  test.each([["chat", "hello"], ["logs"], ["history"], ["drain", "a"], ["move", "s1", "a"]])(
    "%s says why it has nobody to ask",
    async (...args) => {
      const { code, stdout, stderr } = await home.run([...args, "--stack", "prod"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain("Stack prod has no fleet to talk to");
      expect(stderr).toContain("its target is eks");
      expect(stderr).toContain("./fleet status --stack prod");
    },
  );
});

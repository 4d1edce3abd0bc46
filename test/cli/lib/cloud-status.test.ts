import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  answersInCloud,
  lookAtCloud,
  noFleetOn,
  renderCloudStatus,
  whyNoFleet,
} from "../../../cli/lib/cloud-status.ts";
import { CommandFailed } from "../../../cli/lib/errors.ts";
import { NO_FLEET } from "../../../components/edge/answers.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An endpoint that answers everything with this. */
async function endpoint(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const outputs = (url: string) => ({
  endpoint: url,
  target: "eks",
  preset: "medium",
  nodes: ["a", "b", "c"],
  shards: ["s1", "s2"],
});

describe("the status of a stack on AWS", () => {
  test("says that no fleet runs where the edge itself answers", async () => {
    const url = await endpoint(NO_FLEET.status, NO_FLEET.body);
    const status = await lookAtCloud("prod", outputs(url));
    expect(status).toMatchObject({
      fleet: "prod",
      status: "down",
      answer: "no_fleet",
      nodes: [],
      shards: [],
      planned: { nodes: ["a", "b", "c"], shards: ["s1", "s2"] },
    });
    expect(status.text).toContain(
      "no fleet runs here yet: this version does not put the runtime on EKS",
    );
    const page = renderCloudStatus(status);
    expect(page).toContain("prod · medium · eks");
    expect(page).toContain("DOWN: no fleet runs here yet");
    expect(page).toMatch(/nodes planned +3/);
  });

  test("says so too where nothing answers, with why", async () => {
    const gone = await endpoint(200, "{}");
    for (const close of closing.splice(0)) close();
    const status = await lookAtCloud("prod", outputs(gone));
    expect(status).toMatchObject({ status: "down", answer: "unreachable" });
    expect(status.text).toContain("ECONNREFUSED");
  });

  test("believes a fleet that answers", async () => {
    const health = { status: "degraded", shards: { serving: 1, total: 2 } };
    const url = await endpoint(200, JSON.stringify(health));
    expect(await lookAtCloud("prod", outputs(url))).toMatchObject({
      status: "degraded",
      answer: "ok",
      text: "1 of 2 shards serving",
    });
  });

  test.each([
    [404, "<html>not here</html>", "http_404"],
    [200, "<html>parked</html>", "http_200"],
    [502, '{"error":{"code":"bad_gateway"}}', "bad_gateway"],
  ])("does not take %d %s for a fleet", async (code, body, answer) => {
    const url = await endpoint(code, body);
    const status = await lookAtCloud("prod", outputs(url));
    expect(status).toMatchObject({ status: "down", answer });
    expect(status.notes.join()).toContain("openclaw-fleet:domain");
  });

  test.each([
    [{}, "never brought up"],
    [{ base: {}, data: {} }, "it makes base and data alone"],
  ])("is refused for %j, with what is the case", async (made, why) => {
    const failed = await lookAtCloud("prod", made).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandFailed);
    expect((failed as CommandFailed).why).toContain(why);
  });
});

describe("the end of an up on AWS", () => {
  test("is no success while nobody answers", async () => {
    const url = await endpoint(NO_FLEET.status, NO_FLEET.body);
    const failed = await answersInCloud("prod", outputs(url)).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandFailed);
    expect((failed as CommandFailed).message).toContain("is made, and the fleet is not there");
    expect((failed as CommandFailed).why).toContain("503 no_fleet");
  });

  test("is one when a fleet answers", async () => {
    const url = await endpoint(200, '{"status":"ok","shards":{"serving":2,"total":2}}');
    expect(await answersInCloud("prod", outputs(url))).toBe(true);
  });

  test("asks nobody where lower layers alone were wished for", async () => {
    expect(await answersInCloud("prod", { base: {} }, ["base", "data"])).toBe(false);
    const gone = outputs("http://127.0.0.1:1");
    expect(await answersInCloud("prod", gone, ["base", "data", "compute"])).toBe(false);
  });
});

describe("why no fleet runs on a stack of AWS", () => {
  test.each([
    ["eks", undefined, "does not put the runtime on EKS", undefined],
    ["ec2", ["base", "data"], "makes base and data alone (openclaw-fleet:layers)", undefined],
    ["ec2", ["compute", "fleet"], "name no hosts", "./fleet up --stack nowhere"],
    ["ec2", undefined, "name no hosts", "./fleet up --stack nowhere"],
  ])("target %s, layers %j", (target, layers, why, advice) => {
    const found = whyNoFleet("nowhere", target, layers);
    expect(found.why).toContain(why);
    expect(found.advice).toBe(advice);
  });

  test("a command without a fleet names the target, the reason and a way on", () => {
    const { message, why, advice } = noFleetOn("nowhere", "eks");
    expect([message, why, advice].join("; ")).toMatch(
      /Stack nowhere has no fleet.*target is eks.*\.\/fleet status --stack nowhere/,
    );
  });
});

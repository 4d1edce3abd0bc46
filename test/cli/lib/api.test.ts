import { createServer } from "node:http";
import { afterEach, expect, test } from "vitest";
import { call } from "../../../cli/lib/api.ts";
import type { FleetAccess } from "../../../cli/lib/fleet.ts";
import { freePorts } from "../../support/free-ports.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Two fronts, of which the first is lost; the other answers, or cuts what it was asked. */
async function fleet(answers: boolean): Promise<{ access: FleetAccess; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (answers) response.end("{}");
    else response.destroy();
  });
  const [lost, port] = await freePorts(["127.0.0.1"], 2);
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  closing.push(() => server.close().closeAllConnections());
  const access: FleetAccess = {
    stack: "t",
    endpoint: `http://127.0.0.1:${lost}`,
    otherFronts: [`http://127.0.0.1:${port}`],
    token: "token-of-the-test",
    adminToken: "",
    target: "hosts",
    preset: "small",
    dataDir: null,
    config: null,
  };
  return { access, asked };
}
const POST = { method: "POST", as: "client" } as const;

test("a fleet whose first front is lost is asked through the next", async () => {
  const { access, asked } = await fleet(true);
  expect((await call(access, "/a", POST)).status).toBe(200);
  expect((await call(access, "/b", { as: "client" })).status).toBe(200);
  expect(asked).toEqual(["POST /a", "GET /b"]);
  const alone = { ...access, otherFronts: [] };
  await expect(call(alone, "/a", POST)).rejects.toThrow("No router of stack t answers");
});

test("what may have arrived is sent to nobody else", async () => {
  const { access, asked } = await fleet(false);
  const everywhere = { ...access, otherFronts: [...(access.otherFronts ?? []), "http://[::1]:9"] };
  await expect(call(everywhere, "/a", POST)).rejects.toThrow(access.endpoint);
  expect(asked).toEqual(["POST /a"]);
});

test("whose hosts nobody can start from here is not told to bring the fleet up", async () => {
  const { access } = await fleet(true);
  const alone = { ...access, otherFronts: [] };
  const advice = async (target: string) =>
    await call({ ...alone, target }, "/a", POST).catch((error) => error.advice as string);
  expect(await advice("hosts")).toContain("./fleet doctor --stack t looks at each host");
  expect(await advice("hosts")).not.toContain("./fleet up");
  expect(await advice("local")).toContain("./fleet up --stack t");
});

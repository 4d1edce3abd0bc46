import { createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDoor } from "../../gateway/doors.ts";
import { freePorts } from "../support/free-ports.ts";

let server: Server;
let closed: string;
let open: string;
const came: Socket[] = [];
const heard: string[] = [];

beforeAll(async () => {
  server = createServer((socket) => {
    came.push(socket.on("data", (chunk) => heard.push(String(chunk))).on("error", () => {}));
  });
  const [one = 0, other = 0] = await freePorts(["127.0.0.1"], 2);
  await new Promise<void>((done) => server.listen(one, "127.0.0.1", done));
  [open, closed] = [`http://127.0.0.1:${one}`, `http://127.0.0.1:${other}`];
});
afterAll(() => {
  for (const socket of came) socket.destroy();
  server.close();
});

test("the first that takes a connection is the way, and nothing is sent to it", async () => {
  expect(await openDoor([closed, open])).toBe(open);
  expect(await openDoor([open, closed])).toBe(open);
  expect(heard).toEqual([]);
});

test("none is said when all are closed, and a single one is not tried", async () => {
  expect(await openDoor([closed, closed])).toBeNull();
  expect(await openDoor([closed])).toBe(closed);
  expect(await openDoor([])).toBeNull();
});

test("a machine that says nothing is given up", async () => {
  // Nobody is there: RFC 5737 keeps this network for examples.
  expect(await openDoor(["http://192.0.2.1", open], { timeoutMs: 2_000 })).toBe(open);
});

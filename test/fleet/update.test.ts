import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Release } from "../../gateway/config.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { FastFleet, isServed } from "../fleet-fast/fleet.ts";
import { BROKEN_OPENCLAW } from "../support/broken-openclaw.ts";
import { FULL } from "../support/share.ts";
import { WsClient } from "./ws-client.ts";

/** Boots of OpenClaw, several in a row, on a machine that does other things too. */
const PATIENCE_MS = 420_000;
const TEST_MS = 1_800_000;

let fleet: FastFleet | undefined;
afterEach(async () => {
  await fleet?.remove();
  fleet = undefined;
}, 60_000);

test.runIf(FULL)(
  "a version that breaks the state is taken back with it, and the next one goes on with the conversation",
  { timeout: TEST_MS },
  async () => {
    const real = await ensureRelease();
    const made = new FastFleet({ nodes: ["a"], shards: 1, real });
    fleet = made;
    const until = (what: string, wanted: (status: FleetStatus) => boolean) =>
      made.until(what, wanted, PATIENCE_MS);
    const served = () => until("it serves", (status) => isServed(status, ["s1"], 1));
    const roll = async (release: Release) => {
      await made.stopNode("a");
      await made.startNode("a", release);
    };
    /** What the gateway's own history has of the conversation. */
    const said = async (): Promise<string> => {
      const url = `ws://127.0.0.1:${made.port}/?session=talk`;
      const client = await WsClient.connect(url, made.tokens.client[0]);
      try {
        return JSON.stringify(await client.call("chat.history", { sessionKey: "agent:main:talk" }));
      } finally {
        client.close();
      }
    };
    await made.prepare();
    await made.startNode("a");
    await served();
    expect((await made.chat("the first", "talk")).reply).toBe("You said: the first");

    const openclaw = join(made.base, "broken.mjs");
    writeFileSync(openclaw, BROKEN_OPENCLAW);
    await roll({ ...real, id: "9000.1.0+x", openclaw });
    const { update } = await until("it is refused", (status) => !!status.update?.refused);
    expect(update?.refused?.why).toMatch(/no such table: everything.*failed-update-/s);
    await served();
    expect(await said()).toContain("the first");
    expect((await made.chat("the second", "talk")).reply).toBe("You said: the second");

    await roll({ ...real, id: "9000.2.0+x" });
    await until("it is updated", ({ update: left, nodes }) => {
      return left === undefined && nodes[0]?.version === "9000.2.0+x";
    });
    await served();
    const all = await said();
    for (const each of ["the first", "the second"]) expect(all).toContain(each);
  },
);

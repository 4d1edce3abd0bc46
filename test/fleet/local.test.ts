import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serverSentEvents } from "../../cli/lib/sse.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { eventually } from "../support/eventually.ts";
import { TestStack } from "./stack.ts";

const served = (status: FleetStatus, nodes = 2) =>
  status.shards.every((shard) => shard.state === "serving") &&
  status.nodes.filter((node) => node.state === "active").length === nodes;

const shardOf = (status: FleetStatus, id: string) => {
  const shard = status.shards.find((each) => each.id === id);
  if (!shard?.owner || !shard.pid) throw new Error(`${id} has no owner`);
  return { ...shard, owner: shard.owner, pid: shard.pid };
};

/** Real Pulumi, real OpenClaw, the commands that people type; one story from nothing to nothing. */
describe.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "a fleet on this machine",
  { timeout: 420_000 },
  () => {
    let stack: TestStack;

    beforeAll(async () => {
      stack = await TestStack.create({
        nodes: 2,
        shards: 2,
        agents: [{ name: "clerk", systemPrompt: "You are a clerk." }],
      });
    }, 60_000);

    afterAll(async () => {
      await stack?.remove();
    }, 420_000);

    test("up ends with an address that answers, and says what to type next", async () => {
      const { stdout } = await stack.ok("up", "--yes");
      expect(stdout).toContain(`Ready: http://127.0.0.1:${stack.port}`);
      expect(stdout).toContain(`./fleet chat --stack ${stack.name}`);
      const status = await stack.status();
      expect(served(status)).toBe(true);
      expect((await stack.chat("first words", "alice")).reply).toContain("first words");
    });

    test("status, plan and history speak JSON alone on stdout, with the facts of the text", async () => {
      const status = JSON.parse((await stack.ok("status", "--json")).stdout) as FleetStatus;
      expect(status.nodes.map((node) => node.id)).toEqual(["a", "b"]);
      expect((await stack.ok("status", "--check")).stdout).toContain("ok: 2 of 2 shards serving");
      const plan = JSON.parse((await stack.ok("plan", "--json")).stdout) as { nodes: string[] };
      expect(plan.nodes).toEqual(["a", "b"]);
      const history = JSON.parse((await stack.ok("history", "--json")).stdout) as {
        entries: { event: string }[];
      };
      expect(history.entries.map((entry) => entry.event)).toContain("serving");
    });

    test("a second up changes nothing", async () => {
      const before = await stack.status();
      await stack.ok("preview", "--expect-no-changes");
      await stack.ok("up", "--yes");
      expect((await stack.status()).shards.map((s) => s.pid)).toEqual(
        before.shards.map((s) => s.pid),
      );
    });

    test("a stream whose gateway is killed in the middle resumes with the whole answer", async () => {
      const { shard } = await stack.chat("warm up", "bob");
      const { pid, epoch } = shardOf(await stack.status(), shard);
      const response = await stack.fetch("/api/v1/chat/stream", {
        body: { message: "slowly please [[delay=8000]] [[tokens=40]]", session: "bob" },
      });
      let deltas = "";
      let whole = "";
      const seen: string[] = [];
      for await (const { event, data } of serverSentEvents(response.body as ReadableStream)) {
        if (seen.length === 0) process.kill(pid, "SIGKILL");
        seen.push(event);
        if (event === "resumed") whole = "";
        if (event === "delta") {
          const { text } = JSON.parse(data) as { text: string };
          deltas += text;
          whole += text;
        }
      }
      expect(seen).toContain("resumed");
      expect(seen.at(-1)).toBe("done");
      expect(whole).toContain("slowly please");
      expect(deltas.length).toBeGreaterThan(whole.length);
      const after = await stack.until("the shard serves again", (now) => served(now));
      expect(shardOf(after, shard)).toMatchObject({ epoch, restarts: 1 });
    });

    test("a chat whose gateway is killed at any moment gets its answer", async () => {
      const { shard } = await stack.chat("warm up", "ben");
      const { pid } = shardOf(await stack.status(), shard);
      const answer = stack.chat("in any case [[delay=1500]]", "ben");
      process.kill(pid, "SIGKILL");
      expect((await answer).reply).toContain("in any case");
      await stack.until("the shard serves again", (now) => served(now));
    });

    test("the same Idempotency-Key gets the same answer, another body is refused", async () => {
      const headers = { "idempotency-key": "order-66" };
      const first = await stack.chat("only once", "carol", headers);
      expect(await stack.chat("only once", "carol", headers)).toEqual(first);
      const other = await stack.fetch("/api/v1/chat", {
        body: { message: "twice?", session: "carol" },
        headers,
      });
      expect(other.status).toBe(422);
    });

    test("a killed node loses nothing: its peer answers, up sees it and starts it again", async () => {
      const { shard } = await stack.chat("who are you with?", "dave");
      const before = shardOf(await stack.status(), shard);
      const node = before.owner;
      const { keeper, supervisor } = stack.nodePids(node);
      const gateways = (await stack.status()).shards
        .filter((s) => s.owner === node && s.pid)
        .map((s) => s.pid as number);
      for (const pid of [keeper, supervisor, ...gateways]) process.kill(pid, "SIGKILL");
      expect((await stack.chatSurely("and now?", "dave")).reply).toContain("and now?");
      const after = await stack.until("the peer serves everything", (now) =>
        now.shards.every((s) => s.state === "serving"),
      );
      expect(after.nodes.find((each) => each.id === node)?.state).toBe("lost");
      expect(shardOf(after, shard).epoch).toBeGreaterThan(before.epoch);
      expect((await stack.run("status", "--check")).code).toBe(1);

      await stack.ok("up", "--yes");
      await stack.until("both nodes are active", (now) => served(now));
    });

    test("a supervisor that is stopped loses its shards, and nothing of it lives on", async () => {
      const { shard } = await stack.chat("hold on", "erin");
      const before = shardOf(await stack.status(), shard);
      const { supervisor } = stack.nodePids(before.owner);
      process.kill(supervisor, "SIGSTOP");
      expect((await stack.chatSurely("still there?", "erin")).reply).toContain("still there?");
      await eventually(() =>
        expect(existsSync(`/proc/${before.pid}/cmdline`) && isRunning(before.pid)).toBe(false),
      );
      await stack.until("both nodes are active", (now) => served(now));
      expect(stack.nodePids(before.owner).supervisor).not.toBe(supervisor);
    });

    test("move brings a shard to a node, drain empties it, resume takes it back", async () => {
      const owner = shardOf(await stack.status(), "s1").owner;
      const other = owner === "a" ? "b" : "a";
      await stack.ok("move", "s1", other, "--yes");
      expect(shardOf(await stack.status(), "s1").owner).toBe(other);
      await stack.ok("drain", other, "--yes");
      const drained = await stack.status();
      expect(drained.shards.map((s) => s.owner)).toEqual([owner, owner]);
      expect(drained.nodes.find((node) => node.id === other)?.state).toBe("maintenance");
      expect((await stack.run("status", "--check")).code).toBe(1);
      await stack.ok("resume", other);
      await stack.ok("move", "s1", "auto");
      const wrong = await stack.run("drain", "zz", "--yes");
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toContain("zz is not a node of this fleet");
    });

    test("a changed prompt reaches the agent without a restart of anything", async () => {
      await stack.until("all serve", (now) => served(now));
      const before = (await stack.status()).shards.map((s) => s.pid);
      stack.set({ agents: [{ name: "clerk", systemPrompt: "You are a patient clerk." }] });
      const { stdout } = await stack.ok("up", "--yes", "--diff");
      expect(stdout).not.toMatch(/openclaw:local:Node.*(update|replace)/);
      const shard = stack.config.agents.find((agent) => agent.name === "clerk")?.shards[0] ?? "";
      const file = join(
        stack.dataDir,
        "shards",
        shard,
        "state",
        "workspaces",
        "clerk",
        "AGENTS.md",
      );
      await eventually(() => expect(readFileSync(file, "utf8")).toContain("a patient clerk"));
      expect((await stack.status()).shards.map((s) => s.pid)).toEqual(before);
    });

    test("a new release rolls node by node under load, and no request fails", async () => {
      const release = JSON.parse(
        readFileSync(join(stack.dataDir, "nodes", "a", "node.json"), "utf8"),
      ).release;
      stack.env = {
        OPENCLAW_FLEET_RELEASE_JSON: JSON.stringify({ ...release, id: `${release.id}x` }),
      };
      let going = true;
      let answered = 0;
      const load = async (who: string) => {
        while (going) {
          // Held requests wait 60 s for a boot, which a crowded machine may outlast: that one answer
          // may be asked for again. Anything else is a failed request.
          await stack.chatSurely(
            `still with me? [[delay=${500 * (answered % 4)}]]`,
            who,
            /no_owner/,
          );
          answered += 1;
        }
      };
      const clients = Promise.all(["fred", "gina", "hugo"].map(load));
      const failed = clients.then(
        () => null,
        (error: Error) => error,
      );
      await stack.ok("up", "--yes");
      going = false;
      expect(await failed).toBeNull();
      expect(answered).toBeGreaterThan(3);
      const after = await stack.status();
      expect(after.nodes.map((node) => node.version)).toEqual([`${release.id}x`, `${release.id}x`]);
    });

    test("a node more and a node less move only their shards", async () => {
      stack.set({ nodes: 3 });
      const before = (await stack.status()).shards.map((s) => [s.owner, s.epoch]);
      await stack.ok("up", "--yes");
      const three = await stack.until("three nodes", (now) => served(now, 3));
      expect(three.shards.map((s) => [s.owner, s.epoch])).toEqual(before);
      stack.set({ nodes: 2 });
      await stack.ok("up", "--yes");
      const two = await stack.until("two nodes", (now) => served(now, 2));
      expect(two.nodes.map((node) => node.id)).toEqual(["a", "b"]);
      expect(two.shards.map((s) => [s.owner, s.epoch])).toEqual(before);
    });

    test("destroy leaves no process, no file and no stack", async () => {
      await stack.ok("destroy", "--yes");
      expect(stack.processes()).toEqual([]);
      expect(existsSync(stack.dataDir)).toBe(false);
      expect((await stack.run("status")).code).toBe(1);
    });
  },
);

/** A zombie waits for its parent and does nothing. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

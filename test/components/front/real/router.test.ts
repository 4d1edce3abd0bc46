import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { issue } from "../../../../plugin/host/authority.ts";
import { ADMIN_TOKEN, CLIENT_TOKEN, fleetConfig } from "../../../gateway/router/fakes.ts";
import { events, World } from "../../../gateway/router/world.ts";
import { eventually } from "../../../support/eventually.ts";
import { caddyKind } from "../../../support/front/caddy.ts";
import { nginxKind } from "../../../support/front/nginx.ts";
import { FrontWorld, openSocket, ownFrontCertificate, say } from "../../../support/front/world.ts";

describe.each([nginxKind, caddyKind])("$name before routers that are real", (kind) => {
  let front: FrontWorld;
  let world: World;
  const client = { authorization: `Bearer ${CLIENT_TOKEN}` };
  const start = async () => {
    front = await FrontWorld.make(kind, 2);
    const addresses = ["localhost.example"];
    const leaf = { fleet: "test", name: "front", addresses, days: 30 };
    ownFrontCertificate(front.hosts, await issue(front.hosts.authority, leaf, new Date()));
    world = await World.start(["a", "b"], fleetConfig({ trustedProxies: ["127.0.0.0/8"] }));
    await world.fleet.own("s1", "a");
    await world.fleet.own("s2", "b");
    for (const name of ["a", "b"]) await front.pipe(name, () => world.node(name).port);
    await front.apply();
  };
  afterEach(async () => {
    await front?.close();
    await world?.close();
  });

  it("chats, streams and passes the API through", async () => {
    await start();
    const chat = await say(front.https, "/api/v1/chat", {
      headers: { ...client, "content-type": "application/json" },
      body: JSON.stringify({ message: "hi", session: "x" }),
    });
    expect(chat.status).toBe(200);
    expect(chat.json).toMatchObject({ session: "x" });
    expect(chat.headers["x-openclaw-instance"]).toMatch(/^[ab]$/);
    const stream = await say(front.https, "/api/v1/chat/stream?message=hi&session=y", {
      headers: client,
    });
    expect(stream.headers["content-type"]).toMatch(/^text\/event-stream/);
    expect(events(stream.text).at(-1)?.event).toBe("done");
    const passed = await say(front.https, "/v1/chat/completions", {
      headers: { ...client, "content-type": "application/json" },
      body: JSON.stringify({ model: "openclaw/main", user: "u", messages: [] }),
    });
    expect(passed.status).toBe(200);
    expect(world.log.faults()).toEqual([]);
  });

  it("carries the gateway's protocol over WebSocket", async () => {
    await start();
    const ws = openSocket(front.https, "/?session=x", client);
    const frames: { method?: string; event?: string; id?: string; ok?: boolean }[] = [];
    ws.on("message", (data) => frames.push(JSON.parse(String(data))));
    const [upgraded] = (await once(ws, "upgrade")) as [{ headers: Record<string, string> }];
    expect(upgraded.headers["x-openclaw-instance"]).toMatch(/^[ab]$/);
    await eventually(() => expect(frames[0]?.event).toBe("connect.challenge"));
    const params = { auth: { token: CLIENT_TOKEN }, minProtocol: 4, maxProtocol: 4 };
    ws.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
    await eventually(() => expect(frames.find(({ id }) => id === "1")?.ok).toBe(true));
    ws.close();
    await once(ws, "close");
  });

  it("gives metrics, and drains, for the admin token alone: nobody is this machine, or a scraper", async () => {
    await start();
    // From here the front calls, and so does this client.
    world.fleet.config = { ...world.fleet.config, scrapers: ["127.0.0.0/8"] };
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
    for (const [path, method] of [
      ["/metrics", "GET"],
      ["/api/v1/metrics", "GET"],
      ["/internal/agent/drain", "POST"],
    ] as const) {
      const as = async (headers: Record<string, string>) =>
        (await say(front.https, path, { method, headers })).status;
      expect(await as({}), path).toBe(401);
      expect(await as({ "x-forwarded-for": "127.0.0.1" }), path).toBe(401);
      expect(await as(client), path).toBe(403);
      expect(await as(admin), path).toBe(200);
    }
    const { text } = await say(front.https, "/api/v1/metrics", { headers: admin });
    expect(text).toContain("openclaw_fleet_store_up 1");
  });

  it("opens nothing that is for inside, in whatever way it is written", async () => {
    await start();
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
    for (const path of [
      "/internal/metrics",
      "//metrics",
      "/%6detrics",
      "/x/../metrics",
      "/%2fmetrics",
      "/api/v1/./metrics",
      "/internal//agent/drain",
      "/METRICS",
    ]) {
      const answer = await say(front.https, path, { headers: admin });
      expect(answer.status, path).toBeGreaterThanOrEqual(400);
      expect(answer.text).not.toContain("openclaw_fleet_");
    }
    expect((await say(front.https, "/api/v1/fleet", { headers: admin })).status).toBe(200);
    expect((await say(front.https, "/api/v1/fleet", { headers: client })).status).toBe(403);
  });
});

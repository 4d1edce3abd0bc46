import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export type Handler = (params: Record<string, unknown>, peer: FakePeer) => unknown;

export interface FakePeer {
  event(event: string, payload: unknown): void;
  /** Ends the connection without a word. */
  cut(): void;
}

/** A server that speaks the first frames of OpenClaw's protocol; methods are given by the test. */
export async function startFakeGateway(methods: Record<string, Handler>, token = "secret") {
  const calls: { method: string; params: Record<string, unknown> }[] = [];
  const peers = new Set<WebSocket>();
  const scopes: string[][] = [];
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise<void>((resolve) => server.once("listening", resolve));
  server.on("connection", (ws) => {
    peers.add(ws);
    const peer: FakePeer = {
      event: (event, payload) => ws.send(JSON.stringify({ type: "event", event, payload })),
      cut: () => ws.terminate(),
    };
    ws.on("close", () => peers.delete(ws));
    ws.on("message", async (data: Buffer) => {
      const { id, method, params } = JSON.parse(data.toString());
      const fail = (code: string, message: string) =>
        ws.send(JSON.stringify({ type: "res", id, ok: false, error: { code, message } }));
      if (method === "connect") {
        if (params.auth.token !== token) return fail("UNAUTHORIZED", "unauthorized: wrong token");
        scopes.push(params.scopes);
        const payload = {
          protocol: 4,
          server: { version: "fake" },
          auth: { scopes: params.scopes },
        };
        return ws.send(JSON.stringify({ type: "res", id, ok: true, payload }));
      }
      calls.push({ method, params });
      try {
        const payload = (await methods[method]?.(params, peer)) ?? {};
        ws.send(JSON.stringify({ type: "res", id, ok: true, payload }));
      } catch (error) {
        fail((error as { code?: string }).code ?? "INVALID_REQUEST", (error as Error).message);
      }
    });
    peer.event("connect.challenge", { nonce: "n", ts: 1 });
  });
  return {
    port: (server.address() as AddressInfo).port,
    calls,
    scopes,
    cutAll: () => {
      for (const ws of peers) ws.terminate();
    },
    close: async () => {
      for (const ws of peers) ws.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { type ChatMessage, textOf } from "../../gateway/model/answer.ts";
import { startDemoModel } from "../../gateway/model/server.ts";
import type { History } from "./history.ts";
import { markersIn } from "./marker.ts";
import { type Peer, peerOf } from "./peer.ts";

/** The demo model in the drill's own process, so that every model call of the fleet is seen. */
export interface RecordingModel {
  /** For `models.providers`, ending in `/v1`. */
  url: string;
  close(): Promise<void>;
}

export interface PromptMarkers {
  marker: string | null;
  resumed: boolean;
  continuation: boolean;
  asked: string[];
  told: string[];
}

/** OpenClaw's row behind a turn that a crash interrupted, and behind one that it gave up (2026.9.6, measured). */
const RECOVERY =
  /\[System\] (?:Your previous turn was interrupted|Continue from the recovered transcript)/;

/** OpenClaw asks so for the title of a session that it made itself, with the first question in it (2026.9.6, measured). */
const TITLE = /Generate a concise session title/;
const NOTHING: PromptMarkers = {
  marker: null,
  resumed: false,
  continuation: false,
  asked: [],
  told: [],
};

/** What a prompt says about the turn it is for, and about the turns before it. Pure. */
export function readPrompt(messages: readonly ChatMessage[]): PromptMarkers {
  if (messages.some(({ content }) => TITLE.test(textOf(content)))) return NOTHING;
  const of = (role: string) =>
    messages.flatMap((message) =>
      message.role === role ? markersIn(textOf(message.content)) : [],
    );
  // A channel quotes earlier messages behind the new one, so the turn is not the last marker but the
  // last that appears for the first time.
  const asked = [...new Set(of("user"))];
  const marker = asked.at(-1) ?? null;
  const users = messages.filter((message) => message.role === "user");
  const own = users.findIndex((message) =>
    markersIn(textOf(message.content)).includes(marker ?? ""),
  );
  return {
    marker,
    resumed: users.slice(own + 1).some((message) => RECOVERY.test(textOf(message.content))),
    continuation: messages.at(-1)?.role === "tool",
    asked,
    told: of("assistant"),
  };
}

/** Node's own channel: `{ request, response, socket, server }` before each request's handler. */
const REQUEST_START = "http.server.request.start";

/**
 * @param callerOf finds the gateway process at the other end of a connection.
 * @param onPrompt sees each prompt whole.
 * @param host address to listen on.
 */
export async function startRecordingModel(
  history: History,
  callerOf: (peer: Peer) => number | null,
  onPrompt: (messages: readonly ChatMessage[]) => void = () => {},
  host = "127.0.0.1",
): Promise<RecordingModel> {
  // The model's hooks do not show the connection; the handler runs in the context entered here.
  const connection = new AsyncLocalStorage<Peer>();
  let port = 0;
  const onStart = (message: unknown) => {
    const { request } = message as { request: IncomingMessage };
    const { localPort } = request.socket;
    const peer = peerOf(request);
    if (localPort === port && peer) connection.enterWith(peer);
  };
  subscribe(REQUEST_START, onStart);
  // The body's hook runs right before the call's, in one tick.
  let prompt: PromptMarkers | null = null;
  const open = new Set<string>();
  const model = await startDemoModel({
    host,
    onRequest: (body) => {
      onPrompt(body.messages as ChatMessage[]);
      prompt = readPrompt(body.messages as ChatMessage[]);
    },
    onCall: (call) => {
      if (call.outcome === null && !open.has(call.id) && prompt !== null) {
        open.add(call.id);
        const peer = connection.getStore();
        const pid = peer ? callerOf(peer) : null;
        history.add({ type: "model-begin", call: call.id, pid, ...prompt });
        prompt = null;
      } else if (call.outcome !== null && open.delete(call.id)) {
        history.add({ type: "model-end", call: call.id, outcome: call.outcome });
      }
    },
  });
  port = model.port;
  return {
    url: model.url,
    close: async () => {
      unsubscribe(REQUEST_START, onStart);
      await model.close();
    },
  };
}

import { type HistoryRow, textOfRow } from "../../gateway/openclaw/history.ts";
import { WsClient } from "./ws-client.ts";

/**
 * What the gateway's own history has of a conversation: what the person said, in order; of each message
 * what the pattern finds in it. Not what OpenClaw says to itself: an answer is given a moment before
 * its turn is recorded as ended, and a node killed between the two leaves a turn that OpenClaw takes up
 * again with a row of its own.
 * @param url of the fleet's sockets, `ws:` or `wss:`
 */
export async function said(
  url: string,
  token: string,
  session: string,
  pattern: RegExp,
): Promise<(string | null)[]> {
  const client = await WsClient.connect(`${url}/?session=${session}`, token);
  try {
    const { messages } = await client.call("chat.history", { sessionKey: `agent:main:${session}` });
    return (messages as HistoryRow[])
      .filter(({ role }) => role === "user")
      .map(textOfRow)
      .filter((text) => !text.includes("[System]"))
      .map((text) => pattern.exec(text)?.[0] ?? null);
  } finally {
    client.close();
  }
}

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Stands in for a gateway: a completion at once. Prints the port it took. */
const answer = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  model: "openclaw/main",
  choices: [
    { index: 0, message: { role: "assistant", content: "x".repeat(400) }, finish_reason: "stop" },
  ],
  usage: { prompt_tokens: 10, completion_tokens: 100, total_tokens: 110 },
});
const headers = {
  "content-type": "application/json",
  "content-length": String(Buffer.byteLength(answer)),
};

const server = createServer((request, response) => {
  request.resume();
  request.once("end", () => {
    response.writeHead(200, headers);
    response.end(answer);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});

// Stands in for OpenClaw: answers /startupz, keeps helpers, and misbehaves as PLAN says.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { GatewayPlan } from "./plan.ts";

const plan = JSON.parse(process.env.PLAN ?? "{}") as GatewayPlan;
const startedAt = performance.now();

// A helper of the ordinary kind, and one that left the session.
spawn("sleep", ["1000"], { stdio: "ignore" });
spawn("sleep", ["1000"], { stdio: "ignore", detached: true }).unref();

if (plan.mode === "hopeless") {
  console.error("the configuration is refused: gateway.bind is wrong");
  process.exit(78);
}
if (plan.mode === "ends") setTimeout(() => process.exit(1), 300);

process.on("SIGTERM", () => {
  if (plan.mode !== "stubborn") process.exit(0);
});

createServer((request, response) => {
  const started = performance.now() - startedAt >= (plan.bootMs ?? 0);
  if (request.url !== "/startupz") response.writeHead(404).end();
  else {
    response.writeHead(started ? 200 : 503, { "content-type": "application/json" });
    response.end(JSON.stringify({ status: started ? "started" : "starting" }));
  }
}).listen(Number(process.env.GATEWAY_PORT), "127.0.0.1", () => {
  console.log(`listening, token ${process.env.GATEWAY_TOKEN}`);
});

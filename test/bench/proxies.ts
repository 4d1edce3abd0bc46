import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitFor } from "../drill/conditions.ts";
import { freePort } from "../support/free-ports.ts";

/** A program that answers on a port, until it is stopped. */
export interface Server {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

function stopping(child: ChildProcess): () => Promise<void> {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
  };
}

/** One of this folder's programs, which prints its port first. */
export async function startChild(file: string, args: string[] = []): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = stopping(child);
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise<number>((resolve, reject) => {
    lines.once("line", (line) => resolve(Number(line)));
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)));
  });
  return { port, pid: child.pid ?? 0, stop };
}

/** An nginx of this machine. */
export interface Nginx {
  path: string;
  /** As it names itself: `nginx/1.22.1`. */
  version: string;
}

/** Distributions put it where only root's PATH looks. */
const NGINX_PATHS = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/** @throws with what to install */
export function findNginx(): Nginx {
  for (const path of NGINX_PATHS) {
    const { status, stderr } = spawnSync(path, ["-v"], { encoding: "utf8" });
    if (status === 0) return { path, version: /nginx\/\S+/.exec(stderr)?.[0] ?? "nginx" };
  }
  throw new Error(
    "nginx is not installed, and it is what the router is measured beside (Debian: apt-get install -y nginx-light)",
  );
}

/** The distribution's nginx as a plain proxy, one worker, connections to the upstream kept. */
export async function startNginx(
  { path }: Nginx,
  upstream: number,
  signal: AbortSignal,
): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "openclaw-fleet-nginx-"));
  const port = await freePort();
  const config = `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f;
  uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  keepalive_requests 1000000;
  upstream gateway { server 127.0.0.1:${upstream}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateway; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off;
    }
  }
}
`;
  writeFileSync(join(dir, "nginx.conf"), config);
  const child = spawn(path, ["-p", dir, "-c", join(dir, "nginx.conf")], { stdio: "ignore" });
  const end = stopping(child);
  const stop = async () => {
    await end();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await waitFor("nginx to answer", 10_000, signal, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "{}" });
      return response.ok;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: child.pid ?? 0, stop };
}

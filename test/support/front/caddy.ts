import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { caddyConfig } from "../../../components/caddy/config.ts";
import { planCaddy } from "../../../components/caddy/plan.ts";
import { frontEtc } from "../../../components/front/plan.ts";
import { caddyBinary } from "./programs.ts";
import type { FrontKind } from "./world.ts";

/** Caddy as planned, but for where it writes, and as whom. */
export const caddyKind: FrontKind = {
  name: "caddy",
  keepsBodies: false,
  wordsOnHeads: false,
  async prepare(world, context, plan) {
    const program = await caddyBinary();
    world.write(planCaddy(context, plan));
    const at = join(world.dir, "caddy");
    mkdirSync(at, { recursive: true });
    const accessLog = join(at, "access.log");
    const admin = join(at, "admin.sock");
    const path = `${frontEtc(context.paths)}/Caddyfile`;
    writeFileSync(path, caddyConfig(context, plan, { admin, accessLog: `file ${accessLog}` }));
    const config = ["--adapter", "caddyfile", "--config", path];
    return {
      run: [program, "run", ...config],
      env: { XDG_DATA_HOME: at, XDG_CONFIG_HOME: at },
      reload: [program, "reload", "--force", ...config, "--address", `unix/${admin}`],
      test: [program, "validate", ...config],
      accessLog,
    };
  },
};

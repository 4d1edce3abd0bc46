import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { nginxConfig } from "../../../components/nginx/config.ts";
import { planNginx } from "../../../components/nginx/plan.ts";
import { nginxBinary } from "./programs.ts";
import type { FrontKind } from "./world.ts";

/** Nginx as planned, but for where it writes, and as whom. */
export const nginxKind: FrontKind = {
  name: "nginx",
  keepsBodies: true,
  wordsOnHeads: true,
  async prepare(world, context, plan) {
    const program = await nginxBinary();
    world.write(planNginx(context, plan));
    const at = join(world.dir, "nginx");
    mkdirSync(at, { recursive: true });
    const accessLog = join(at, "access.log");
    const config = nginxConfig(context, plan, {
      pid: join(at, "pid"),
      user: userInfo().username,
      accessLog,
      errorLog: join(at, "error.log"),
      temporary: at,
    });
    const path = `${context.paths.etc}/nginx.conf`;
    writeFileSync(path, config);
    const common = ["-p", at, "-e", join(at, "error.log"), "-c", path];
    return {
      run: [program, ...common, "-g", "daemon off;"],
      reload: "SIGHUP",
      test: [program, ...common, "-t", "-q"],
      accessLog,
    };
  },
};

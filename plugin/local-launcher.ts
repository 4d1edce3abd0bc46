import { existsSync } from "node:fs";
import { join } from "node:path";
import { nodeRunning, startNode, stopNode } from "../gateway/keeper/launch.ts";
import { nodeLogFile } from "../gateway/keeper/paths.ts";
import { createPristine, SqliteLeaseStore } from "../gateway/leases/sqlite.ts";
import { leaseFile, nodeDir, readIfThere } from "./files.ts";
import type { NodeLauncher } from "./launcher.ts";

/** Lines of a node's log that an error shows. */
const TAIL_LINES = 12;

/**
 * What a node gets of the deployment's environment. A list of what may pass, because agents run
 * tools in it: cloud keys and passphrases of whoever deploys are none of theirs.
 */
const PASSED =
  /^(HOME|PATH|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|XDG_\w+|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|OPENCLAW_(SKIP_CRON|REDIS_URL|FLEET_LOG_LEVEL))$/i;

/** The environment of a node. */
export function nodeEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => PASSED.test(name)));
}

/** Nodes as processes of this machine, through their keepers. */
export function localLauncher(env: NodeJS.ProcessEnv = process.env): NodeLauncher {
  return {
    async start(config) {
      const { node, runtime } = config.release;
      await startNode({
        nodeDir: nodeDir(config.dataDir, config.id),
        keeper: join(runtime, "keeper.js"),
        supervisor: join(runtime, "node.js"),
        node,
        env: nodeEnvironment(env),
      });
    },
    running: (dataDir, id) => nodeRunning(nodeDir(dataDir, id)) !== null,
    stop: (dataDir, id, budgetMs) => stopNode({ nodeDir: nodeDir(dataDir, id), budgetMs }),
    logTail(dataDir, id) {
      const text = readIfThere(nodeLogFile(nodeDir(dataDir, id))) ?? "";
      return text.trimEnd().split("\n").filter(Boolean).slice(-TAIL_LINES);
    },
    async forget(dataDir, id) {
      if (!existsSync(leaseFile(dataDir))) return;
      const store = new SqliteLeaseStore({ path: leaseFile(dataDir) });
      try {
        await store.forgetNode(id);
      } finally {
        await store.close();
      }
    },
    createLeases: createPristine,
  };
}

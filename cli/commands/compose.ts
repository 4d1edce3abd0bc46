import { arch } from "node:os";
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { type ComposePlan, planCompose } from "../../components/compose/plan.ts";
import { ensureHostRelease, HOST_ARCHS, type HostArch } from "../../toolchain/host-release.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { composeNeed } from "../lib/compose-config.ts";
import { type Secrets, writeFolder, writeSecrets } from "../lib/compose-folder.ts";
import { CommandFailed } from "../lib/errors.ts";
import { withJson, withStack } from "../lib/options.ts";
import { secretSettings } from "../lib/stack-settings.ts";
import { result } from "../lib/terminal.ts";

interface Options {
  stack: string;
  json?: boolean;
  out?: string;
}

async function compose(options: Options): Promise<void> {
  const architecture = arch() as HostArch;
  if (!HOST_ARCHS.includes(architecture)) {
    throw new CommandFailed(
      `No container can be made on ${architecture}`,
      `releases are for ${HOST_ARCHS.join(" and ")}`,
      "run this on a machine like the one that will run the container",
    );
  }
  const { stack } = options;
  const made = composeNeed(stack, secretSettings(stack));
  const release = await ensureHostRelease(architecture, { progress: createProgress() });
  const archives = Object.fromEntries(
    release.parts.map((part) => [`${part.name}.tar.gz`, part.archive]),
  );
  const plan = planCompose({
    ...made.need,
    releaseId: release.release,
    archives: Object.keys(archives),
  });
  const folder = resolve(options.out ?? `openclaw-${stack}`);
  writeFolder(folder, plan, archives);
  const secrets = writeSecrets(folder, plan.secrets, {
    values: made.known,
    random: (name) => /^token\.(client|admin|peer)$/.test(name),
  });
  const facts = { folder, release: release.release, memoryMiB: made.need.limitMiB, secrets };
  result(Boolean(options.json), facts, () => text(folder, plan, facts));
}

function text(
  folder: string,
  plan: ComposePlan,
  { release, memoryMiB, secrets }: { release: string; memoryMiB: number; secrets: Secrets },
): string {
  const where = basename(folder);
  return [
    `${folder}: OpenClaw ${release} in one container of at most ${memoryMiB} MiB`,
    `  ${Object.keys(plan.files).sort().join("  ")}`,
    ...(secrets.made.length > 0 ? [`  made: secrets/${secrets.made.join(" secrets/")}`] : []),
    ...secrets.missing.map((name) => `! secrets/${name} is empty: put its value there`),
    "",
    "Next, on the machine with Docker:",
    `  cd ${where} && docker compose up --build --detach --wait`,
    `  curl -H "Authorization: Bearer $(cat secrets/token.client)" -d '{"message":"hello"}' http://127.0.0.1:18789/api/v1/chat`,
  ].join("\n");
}

export function register(program: Command): void {
  withJson(withStack(program.command("compose")))
    .summary("write a Compose file and image for one host")
    .option("--out <dir>", "folder to write to; openclaw-<stack> when left out")
    .addHelpText(
      "after",
      "\nExamples:\n  ./fleet compose --stack dev\n  ./fleet compose --stack dev --out /srv/openclaw",
    )
    .action(compose);
}

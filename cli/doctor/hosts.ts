import { ETCD_UNIT } from "../../components/etcd/plan.ts";
import { judgeRunning } from "../../plugin/host/preflight.ts";
import { surveyHost } from "../../plugin/host/preflight-facts.ts";
import type { HostConnection, HostShell, OpenShell } from "../../plugin/host/shell.ts";
import type { Check } from "./check.ts";

/** A host that has not said everything by then is a finding, ms: a login may take 45 s. */
const PATIENCE_MS = 75_000;
/** Left out of a sentence, but not out of reach of `ssh`: the last words of a program, characters. */
const WORDS_MAX = 200;

/**
 * How the fleet's own units are, and its member of etcd; reads only. `Restart=always` makes `activating` of a
 * unit that ends again and again. Each line is a word, then what it is about.
 */
export const LOOK_SCRIPT = `set -u
LC_ALL=C; export LC_ALL
systemctl list-unit-files --no-legend --plain --state=enabled 'openclaw-fleet-*' | while read -r unit _; do
  echo "unit $unit $(systemctl is-active "$unit")"
done
systemctl list-units --all --no-legend --plain --state=failed 'openclaw-fleet-*' | while read -r unit _; do
  echo "unit $unit failed"
done
file=/etc/systemd/system/${ETCD_UNIT}
if test -e "$file"; then
  program=$(sed -n 's/^ExecStartPre=//p' "$file" | sed 's/ prepare / health /')
  if said=$(timeout 20 $program 2>&1); then echo "etcd ok"
  else echo "etcd $(printf '%s' "$said" | tail -n 1 | tr -d '\\n')"; fi
fi
`;

/** What `systemctl is-active` says of a unit that is well. */
const RUNS: readonly string[] = ["active", "reloading"];

interface Looked {
  /** Names of units and what systemd says of them. */
  readonly units: readonly (readonly [unit: string, state: string])[];
  /** `ok`, or what its health program said; null: no member is here. */
  readonly etcd: string | null;
}

/**
 * Every host of a fleet, all at once, each asked for everything: clock, disk, units, member of etcd. One that
 * cannot be reached is a finding, and keeps nobody from the others'.
 * @param options.patienceMs how long one host may take
 */
export async function hostChecks(
  stack: string,
  hosts: readonly HostConnection[],
  open: OpenShell,
  { patienceMs = PATIENCE_MS }: { patienceMs?: number } = {},
): Promise<Check[]> {
  return Promise.all(hosts.map((host) => checkHost(stack, host, open(host), patienceMs)));
}

async function checkHost(
  stack: string,
  { name }: HostConnection,
  shell: HostShell,
  patienceMs: number,
): Promise<Check> {
  const id = `host ${name}`;
  const signal = AbortSignal.timeout(patienceMs);
  try {
    const survey = await surveyHost(shell, { signal });
    const looked = await lookAt(shell, signal);
    const faults = [...judgeRunning(survey), ...judge(name, looked)];
    if (survey.fleet && looked.units.length === 0) {
      faults.push({
        what: "none of the fleet's units is to run",
        fix: `./fleet up --stack ${stack}`,
      });
    }
    if (survey.fleet?.name !== stack || survey.fleet.node !== name) {
      faults.unshift({
        what: survey.fleet
          ? `it is node ${survey.fleet.node} of fleet ${survey.fleet.name}`
          : "nothing of the fleet is on it: it was installed anew, or is another machine",
        fix: `./fleet up --stack ${stack}`,
      });
    }
    if (faults.length > 0) {
      const whats = faults.map(({ what }) => what);
      const fixes = [...new Set(faults.map(({ fix }) => fix))];
      return { id, state: "fail", text: whats.join("\n"), fix: fixes.join("; ") };
    }
    const free = Math.min(...Object.values(survey.disks).map(({ freeMiB }) => freeMiB));
    const parts = [
      `${looked.units.length} units run`,
      ...(looked.etcd === null ? [] : ["etcd votes, with a majority"]),
      `${(free / 1024).toFixed(1)} GiB free`,
      `clock within ${Math.max(0.1, Math.abs(survey.clockAheadSeconds) + survey.clockErrorSeconds).toFixed(1)} s`,
    ];
    return { id, state: "ok", text: parts.join(", ") };
  } catch (error) {
    const text = signal.aborted
      ? `it did not answer within ${patienceMs / 1_000} s`
      : oneLine((error as Error).message.replace(`host ${name}: `, ""));
    return { id, state: "fail", text, fix: 'docs/operations.md, "A host is lost"' };
  } finally {
    await shell.close();
  }
}

async function lookAt(shell: HostShell, signal: AbortSignal): Promise<Looked> {
  const { code, stdout, stderr } = await shell.exec(["sh", "-s"], { stdin: LOOK_SCRIPT, signal });
  if (code !== 0) throw new Error(`its units could not be looked at: ${stderr.trim() || code}`);
  return parseLook(stdout);
}

/** What the script wrote, each unit once. */
export function parseLook(text: string): Looked {
  const units = new Map<string, string>();
  let etcd: string | null = null;
  for (const line of text.split("\n")) {
    const [word, first = "", ...rest] = line.split(" ");
    if (word === "unit") units.set(first, rest.join(" "));
    if (word === "etcd") etcd = [first, ...rest].join(" ").trim();
  }
  return { units: [...units], etcd };
}

function judge(host: string, { units, etcd }: Looked) {
  const faults = units
    .filter(([, state]) => !RUNS.includes(state))
    .map(([unit, state]) => ({
      what: `${unit} is ${state}`,
      fix: `on ${host}: journalctl -u ${unit} -n 50`,
    }));
  if (etcd !== null && etcd !== "ok") {
    faults.push({
      what: `its member of etcd: ${oneLine(etcd) || "did not answer"}`,
      fix: `on ${host}: journalctl -u ${ETCD_UNIT} -n 50`,
    });
  }
  return faults;
}

function oneLine(text: string): string {
  const line = text
    .trim()
    .replace(/\s*\n\s*/g, "; ")
    .replace(/\s+/g, " ");
  return line.length > WORDS_MAX ? `${line.slice(0, WORDS_MAX)}…` : line;
}

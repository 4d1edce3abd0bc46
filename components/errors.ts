/** One thing wrong with what a person asked for. */
export interface Fault {
  /** The setting as the person writes it, e.g. `agents[0].replicas`; empty for the whole. */
  readonly setting: string;
  /** What was found and why it cannot be. */
  readonly problem: string;
  /** What to do about it. */
  readonly remedy: string;
  /** `file:line:column` where the setting is written, when it is known. */
  readonly place?: string;
}

/** Settings that cannot be carried out. Holds every fault found, and says all of them at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]);
  constructor(setting: string, problem: string, remedy: string);
  constructor(first: readonly Fault[] | string, problem = "", remedy = "") {
    const faults = typeof first === "string" ? [{ setting: first, problem, remedy }] : first;
    super(faults.map(describeFault).join("\n"));
    this.faults = faults;
  }
}

/** The setting's full name in `Pulumi.<stack>.yaml`. */
export function fullName(setting: string): string {
  return `openclaw-fleet:${setting}`;
}

function describeFault(fault: Fault): string {
  const place = fault.place ? `${fault.place}  ` : "";
  const what = fault.setting ? `${fullName(fault.setting)} ${fault.problem}` : fault.problem;
  return `${place}${what}${/[.?!]$/.test(what) ? "" : "."} ${fault.remedy}`.trimEnd();
}

import { parse } from "yaml";
import { CommandFailed } from "../errors.ts";
import { spliceSetting } from "../splice-setting.ts";

export interface Staging {
  /** Name of the new stack; names under a domain begin with it. */
  readonly stack: string;
  /** ISO 8601. */
  readonly expires: string;
  readonly preset?: string | undefined;
  readonly port?: number | undefined;
}

/**
 * Settings of a stack for a while from those of another one: the same but for its environment, its
 * name under the domain, and when it ends. Encrypted values stay readable to who could read them.
 */
export function stagedSettings(base: string, name: string, wish: Staging): string {
  const document = (parse(base) ?? {}) as { config?: Record<string, unknown> };
  const setting = (key: string): unknown => document.config?.[`openclaw-fleet:${key}`];
  if (setting("environment") === "prod") {
    throw new CommandFailed(
      `${name} is of environment prod`,
      "a stack for a while holds nothing of what prod holds, and should not reach its secrets",
      "take the settings of a staging stack: --from staging",
    );
  }
  const changes: [string[], string | number | boolean][] = [
    [["environment"], "staging"],
    [["ephemeral", "expires"], wish.expires],
  ];
  if (setting("keepData") !== undefined) changes.push([["keepData"], false]);
  const domain = setting("domain");
  if (typeof domain === "string") {
    changes.push([["domain"], `${wish.stack}.${domain}`]);
    // The zone is the other stack's: by itself it would be one label less than the new name.
    const { zoneName } = (setting("dns") ?? {}) as { zoneName?: unknown };
    const onAws = setting("target") === "ec2" || setting("target") === "eks";
    if (onAws && zoneName === undefined) {
      changes.push([["dns", "zoneName"], domain.split(".").slice(1).join(".")]);
    }
  }
  if (wish.preset !== undefined) changes.push([["preset"], wish.preset]);
  if (wish.port !== undefined) changes.push([["port"], wish.port]);
  const text = changes.reduce((text, [path, value]) => spliceSetting(text, path, value), base);
  // A sample's first line says that it is nobody's.
  return text.replace(/^# Sample:.*\n/, "");
}

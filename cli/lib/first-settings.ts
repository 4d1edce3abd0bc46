/** What `init` asks; everything left out has the default that docs/settings.md names. */
export interface Answers {
  preset?: string | undefined;
  nodes?: number | undefined;
  shards?: number | undefined;
  port?: number | undefined;
  /** `demo`, or `provider/model`. */
  models: string;
  /** Address of an OpenAI-compatible server, for a provider that OpenClaw does not know. */
  baseUrl?: string | undefined;
  /** Variable that holds the provider's key; {@link keyVariable} when left out. */
  keyEnv?: string | undefined;
}

/** `ANTHROPIC_API_KEY`: where people have a provider's key. */
export const keyVariable = (provider: string): string =>
  `${provider.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}_API_KEY`;

/** Provider and model of `provider/model`. */
export function splitModel(models: string): { provider: string; model: string } {
  const slash = models.indexOf("/");
  return { provider: models.slice(0, slash), model: models.slice(slash + 1) };
}

/** Text of a new Pulumi.<stack>.yaml for target local: few lines, each with what it means. No secret. */
export function firstSettings(answers: Answers): string {
  const { preset, nodes, shards, port } = answers;
  return [
    "# Settings of this stack. All of them: ./fleet docs. What they make: ./fleet plan.",
    "config:",
    setting("target", "local", "processes on this machine"),
    ...models(answers),
    preset === undefined
      ? unset("preset", "small", "or solo (1 node), medium, enterprise")
      : setting("preset", preset, "a row of ./fleet plan --compare"),
    nodes === undefined
      ? unset("nodes", "2", "unset: as the preset says, without one 2 nodes and 2 shards")
      : setting("nodes", nodes, "groups of processes that may be lost one by one"),
    shards === undefined
      ? unset("shards", "2", "OpenClaw gateways, 1.3 GiB of memory each")
      : setting("shards", shards, "OpenClaw gateways, 1.3 GiB of memory each"),
    ...(port === undefined ? [] : [setting("port", port, "where people reach it")]),
    "",
  ].join("\n");
}

const setting = (name: string, value: string | number, why: string): string =>
  `  openclaw-fleet:${name}: ${value} # ${why}`;

const unset = (name: string, value: string, why: string): string =>
  `  # openclaw-fleet:${name}: ${value} # ${why}`;

function models({ models: wanted, baseUrl, keyEnv }: Answers): string[] {
  if (wanted === "demo") {
    return [setting("models", "demo", "a built-in echo model, to try things without a key")];
  }
  const { provider, model } = splitModel(wanted);
  const lines = [
    "  openclaw-fleet:models:",
    `    primary: ${JSON.stringify(wanted)}`,
    "    providers:",
    `      ${JSON.stringify(provider)}:`,
    `        apiKey: env:${keyEnv ?? keyVariable(provider)} # from the environment of ./fleet up`,
  ];
  if (baseUrl !== undefined) {
    lines.push(
      `        baseUrl: ${JSON.stringify(baseUrl)}`,
      "        api: openai-completions",
      `        models: [{ id: ${JSON.stringify(model)}, name: ${JSON.stringify(model)} }]`,
    );
  }
  return lines;
}

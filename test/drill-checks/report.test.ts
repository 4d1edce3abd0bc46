import { expect, test } from "vitest";
import { check } from "../drill/checker.ts";
import { pageData } from "../drill/page/data.ts";
import { renderPage } from "../drill/page/page.ts";
import { timelineSvg } from "../drill/page/timeline.ts";
import { pastRun, reliabilitySection, replaceSection } from "../drill/record.ts";
import { summarize } from "../drill/summary.ts";
import { drillText } from "../drill/text.ts";
import { lawfulWorld } from "./world.ts";

const EXPECTED = { telegram: true, cron: true, websocket: false, faults: [] };
const draw = {
  table: (head: string[], rows: string[][]) => [head, ...rows].map((r) => r.join(" ")).join("\n"),
  paint: (_: string, text: string) => text,
};

function report(break_ = false) {
  const world = lawfulWorld({ seed: 9, shards: 2, turns: 8, crashes: 2 });
  const answered = world.events.find((event) => event.type === "answered");
  const events = world.events.map((event) =>
    break_ && event === answered && event.type === "answered"
      ? { ...event, reply: "</script><b>turn-ffffffffffff" }
      : event,
  );
  const outcome = check(world.header, events, EXPECTED);
  return { ...world, events, report: summarize(world.header, events, outcome, null) };
}

test("the verdict is the first line, and a failing check has its evidence in its own", () => {
  expect(drillText(report().report, draw).split("\n")[0]).toMatch(/^passed: /);
  const lines = drillText(report(true).report, draw).split("\n");
  expect(lines[0]).toMatch(/^FAILED: 1 check failed$/);
  expect(lines.find((line) => line.startsWith("✗"))).toMatch(/lost silently: .*turn-[0-9a-f]{12}/);
});

test("a drill that could not be carried through has failed, whatever the checks say", () => {
  const { header, events } = report();
  const outcome = check(header, events, EXPECTED);
  const given = summarize(header, events, outcome, "the fleet did not come back");
  expect(given.ok).toBe(false);
  expect(given.verdict).toBe("FAILED: the fleet did not come back");
});

test("a recorded drill stands beside earlier ones of its kind", () => {
  const given = report().report;
  const [fault] = given.faults;
  if (!fault) throw new Error("the world has no fault");
  const earlier = (section: "drill" | "drill-hosts", each: number[]) => {
    const faults = [{ ...fault, recoveryMs: { ...fault.recoveryMs, each } }];
    return { ...pastRun({ ...given, faults }, section), startedAt: "2025-12-31T03:04:05Z" };
  };
  const { recoveriesMs: _, ...old } = earlier("drill", []);
  const alone = reliabilitySection(given, "drill", [earlier("drill-hosts", [1])]);
  expect(alone).not.toContain("runs on that machine");
  const runs = [earlier("drill", [61_000, 62_000, 63_000]), old, earlier("drill-hosts", [90_000])];
  const section = reliabilitySection(given, "drill", runs);
  expect(section).toContain("All 3 runs on that machine since 2025-12-31");
  const times = fault.recoveryMs.each.length + 3;
  expect(section).toMatch(new RegExp(`\\| ${fault.title} \\| ${times} \\| [^|]+ \\| 63.0 s \\|`));
});

test("recovery is the time from a fault to the first answer", () => {
  const world = report();
  const fault = world.events.find((event) => event.type === "fault" && event.phase === "do");
  const from = fault?.t ?? 0;
  const marker = "turn-abcdefabcdef";
  const base = { client: "probe", kind: "chat", agent: "main", session: "p", key: "k" } as const;
  const events = [
    ...world.events,
    { t: from + 1, type: "invoked", id: "p", marker, turnMs: 0, ...base } as const,
    {
      t: from + 4_200,
      type: "answered",
      id: "p",
      reply: marker,
      shard: "s1",
      epoch: 2,
      node: "b",
      attempts: 1,
    } as const,
  ];
  const outcome = check(world.header, events, EXPECTED);
  const given = summarize(world.header, events, outcome, null);
  expect(given.faults[0]?.recoveryMs.max).toBe(4_200);
});

test("the page needs nothing from outside and no text of the fleet's can leave its data", () => {
  const { header, events, report: given } = report(true);
  const page = renderPage(pageData(header, events, given, []));
  expect(page).not.toMatch(/(src|href)\s*=\s*["']?https?:/);
  expect(page).not.toContain("</script><b>");
  const data = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)?.[1];
  expect(JSON.parse(data ?? "").verdict).toBe(given.verdict);
});

test("the picture shows each fault, each owner and no text that could be markup", () => {
  const { header, events, report: given } = report(true);
  const data = pageData(header, events, given, []);
  const svg = timelineSvg({ ...data, nodes: ["<b>", ...data.nodes] });
  expect(svg).not.toContain("<b>");
  for (const fault of data.faults) expect(svg).toContain(`${fault.n}. ${fault.title}`);
  for (const { name, spans } of data.lanes) {
    for (const { node, epoch } of spans)
      expect(svg).toContain(`${name} on ${node}, epoch ${epoch}`);
  }
});

test("a recorded result replaces the one before it and leaves the rest of the page alone", () => {
  const section = reliabilitySection(report().report, "drill");
  const once = replaceSection("# Page\n\ntext\n", "<!--a-->", "<!--b-->", section);
  const page = `${once}\nmore\n`;
  const twice = replaceSection(page, "<!--a-->", "<!--b-->", "new");
  expect(twice).toContain("# Page\n\ntext\n");
  expect(twice).toContain("<!--a-->\nnew\n<!--b-->");
  expect(twice).toContain("more");
  expect(twice).not.toContain("nothing lost");
});

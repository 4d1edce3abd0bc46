import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../../support/eventually.ts";
import { CAN_PAGE, ReceiversWorld } from "./receivers-world.ts";

/** For a message to arrive on a loaded machine. */
const PATIENCE_MS = 60_000;
const ALERTS = [
  ["Critical", "critical"],
  ["Warning", "warning"],
  ["Info", "info"],
] as const;

let world: ReceiversWorld | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const told = (texts: readonly string[], ...words: string[]) =>
  texts.filter((text) => words.every((word) => text.includes(word))).length;

describe("who is told of what", () => {
  test("everybody of what is critical, and of its end; nobody is paged for less", {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    world = await ReceiversWorld.start();
    const { slack, mails, pages, refused } = world;
    for (const [name, severity] of ALERTS) await world.alert(name, severity);
    const said = () => slack.flatMap(({ attachments }) => attachments.map(asText));
    const raw = () => mails.map((mail) => mail.raw);
    await eventually(() => {
      for (const [name] of ALERTS) expect(told(said(), name, "./fleet status")).toBe(1);
      for (const name of ["Critical", "Warning"]) expect(told(raw(), name)).toBe(1);
      if (CAN_PAGE) expect(pages).toHaveLength(1);
    }, PATIENCE_MS);
    expect(slack[0]).toMatchObject({ channel: "#alerts" });
    expect(mails[0]).toMatchObject({
      user: "fleet",
      encrypted: true,
      to: ["one@a.example", "two@a.example"],
    });

    for (const [name, severity] of ALERTS) await world.alert(name, severity, true);
    await eventually(() => {
      for (const [name] of ALERTS) expect(told(said(), name)).toBe(2);
      for (const name of ["Critical", "Warning"]) expect(told(raw(), name)).toBe(2);
      if (CAN_PAGE) expect(pages).toHaveLength(2);
    }, PATIENCE_MS);
    expect(told(raw(), "Info")).toBe(0);
    if (CAN_PAGE) {
      const [page, end] = pages;
      expect(page).toMatchObject({
        event_action: "trigger",
        payload: { summary: "critical: Critical of the test", severity: "critical" },
      });
      expect(end).toMatchObject({ event_action: "resolve", dedup_key: page?.dedup_key });
    }
    expect(refused).toEqual([]);
  });

  test("a mail server without TLS gets neither mail nor password, and the others are told", {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    world = await ReceiversWorld.start({ openMail: true });
    const { slack, mails, refused } = world;
    await world.alert("Critical", "critical");
    await eventually(async () => {
      expect(slack.length).toBeGreaterThan(0);
      expect(await world?.failed("email")).toBeGreaterThan(0);
    }, 2 * PATIENCE_MS);
    expect(mails).toEqual([]);
    expect(refused).toEqual([]);
  });
});

const asText = ({ title, text }: { title: string; text: string }) => `${title}\n${text}`;

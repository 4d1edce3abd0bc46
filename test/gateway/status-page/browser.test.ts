import { Browser, type BrowserPage } from "happy-dom";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { ADMIN_TOKEN } from "../router/fakes.ts";
import { World } from "../router/world.ts";

/** The page and its script in a browser's document, before real routers. */
let world: World;
let browser: Browser;
let page: BrowserPage;

beforeEach(async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "a");
  await world.fleet.own("s2", "b");
  browser = new Browser({
    settings: {
      enableJavaScriptEvaluation: true,
      // The script is this project's own.
      suppressInsecureJavaScriptEnvironmentWarning: true,
    },
  });
  page = browser.newPage();
  await page.goto(`http://127.0.0.1:${world.node("a").port}/status`);
});
afterEach(async () => {
  await browser.close();
  await world.close();
});

const at = (id: string) => page.mainFrame.document.getElementById(id);
const text = (id: string) => at(id)?.textContent ?? "";
const isHidden = (id: string) => at(id)?.hasAttribute("hidden");
const cells = () =>
  [...page.mainFrame.document.querySelectorAll("#view tbody tr")].map((row) =>
    [...row.children].map((cell) => cell.textContent),
  );

async function enter(token: string): Promise<void> {
  const { document, window } = page.mainFrame;
  const field = document.getElementById("token") as unknown as { value: string };
  field.value = token;
  at("ask")?.dispatchEvent(new window.Event("submit", { cancelable: true }));
  expect(field.value).toBe("");
  expect(document.URL).not.toContain(token);
}

test("says how the fleet does before it asks who looks, and no more", async () => {
  await eventually(() => expect(text("verdict")).toBe("ok: 2 of 2 shards serving"));
  expect(text("fleet")).toBe("testfleet");
  expect(text("age")).toMatch(/^as node a saw it \d+ s ago$/);
  expect(text("command")).toBe("./fleet output adminToken --show-secrets --stack testfleet");
  expect([isHidden("ask"), isHidden("view")]).toEqual([false, true]);
  expect(cells()).toEqual([]);
});

test("refuses a wrong token and asks again; with the right one it shows nodes, shards and events", async () => {
  await enter("wrong");
  await eventually(() => expect(text("refused")).toBe("This is not a token of this fleet."));
  expect([isHidden("ask"), isHidden("view")]).toEqual([false, true]);
  await enter(ADMIN_TOKEN);
  await eventually(() => expect(isHidden("view")).toBe(false));
  expect(isHidden("ask")).toBe(true);
  const rows = cells();
  expect(rows.filter(([id]) => id === "s1" || id === "s2").map(([, state]) => state)).toEqual([
    "serving",
    "serving",
  ]);
  page.mainFrame.document
    .querySelector("#view button")
    ?.dispatchEvent(new page.mainFrame.window.Event("click"));
  expect([isHidden("ask"), isHidden("view"), cells().length]).toEqual([false, true, 0]);
});

test("what the fleet says is text, whatever is in it", async () => {
  const { status } = world.node("a").view;
  world.node("a").view.status = () => {
    const said = status.call(world.node("a").view);
    const shards = said.shards.map((shard) => ({
      ...shard,
      restarts: 1,
      reason: "<img src=x><script>document.title = 'taken'</script>",
    }));
    return { ...said, shards };
  };
  await enter(ADMIN_TOKEN);
  await eventually(() => expect(text("view")).toContain("<img src=x>"));
  expect(page.mainFrame.document.querySelector("#view img, #view script")).toBeNull();
  expect(page.mainFrame.document.title).toBe("testfleet");
});

test("a page that nobody feeds says so by itself", async () => {
  await enter(ADMIN_TOKEN);
  await eventually(() => expect(isHidden("view")).toBe(false));
  await Promise.all([...world.nodes.values()].map(({ router }) => router.close()));
  page.mainFrame.evaluate("Date.now = ((now) => () => now() + 60_000)(Date.now)");
  await eventually(() => expect(text("age")).toMatch(/^Not up to date.*saw it \d+ s ago$/));
  expect(page.mainFrame.document.body.classList.contains("stale")).toBe(true);
  // What was known stays to be read.
  expect(cells().length).toBeGreaterThan(0);
});

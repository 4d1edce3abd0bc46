import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { PageData } from "./data.ts";

const here = import.meta.dirname;
const uplot = dirname(createRequire(import.meta.url).resolve("uplot/dist/uPlot.min.css"));
const read = (path: string): string => readFileSync(path, "utf8");

/** One HTML file that needs nothing else: no network, no second file. */
export function renderPage(data: PageData): string {
  // `<` is escaped, so that no text of the fleet's can end the script element.
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const word = data.ok ? "passed" : "FAILED";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drill ${word}</title>
<style>${read(join(uplot, "uPlot.min.css"))}</style>
<style>${read(join(here, "style.css"))}</style>
</head>
<body>
<main id="main"></main>
<script type="application/json" id="data">${json}</script>
<script>${read(join(uplot, "uPlot.iife.min.js"))}</script>
<script>${read(join(here, "client.js"))}</script>
</body>
</html>
`;
}

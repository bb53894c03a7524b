/** Replaces parts of the page by HTML from the server. Focus, selection and scroll positions survive. */
import { Idiomorph } from "idiomorph";
import { localize } from "./times.ts";

const parser = new DOMParser();

/** Gives each row of a table an id after its title, so that a row that moves keeps its elements and with them the focus. */
function nameRows(root: Element): void {
  const seen = new Map<string, number>();
  for (const title of root.querySelectorAll("tbody > tr > th:first-child")) {
    const name = `${title.closest("section")?.id} ${title.textContent}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    if (title.parentElement !== null) title.parentElement.id = `${name} ${count}`;
  }
}

function replace(old: Element | null, fresh: Element | null): void {
  if (old === null || fresh === null) return;
  localize(fresh.ownerDocument);
  nameRows(old);
  nameRows(fresh);
  Idiomorph.morph(old, fresh, {
    ignoreActiveValue: true,
    callbacks: {
      // The chart belongs to the script, and what is unfolded to the viewer.
      beforeNodeMorphed: (node) => node.id !== "chart",
      beforeAttributeUpdated: (name) => name !== "open",
    },
  });
}

/** @param html the whole element, rendered by the server, which escaped all data in it */
export function replaceFragment(id: string, html: string): void {
  replace(document.getElementById(id), parser.parseFromString(html, "text/html").getElementById(id));
}

let request = new AbortController();

/**
 * Shows the same page for another address, but keeps the chart.
 *
 * @param part selects the element to replace
 */
export async function loadPage(url: string, part: string): Promise<void> {
  request.abort();
  request = new AbortController();
  const response = await fetch(url, { headers: { accept: "text/html" }, signal: request.signal });
  if (!response.ok) return;
  const page = parser.parseFromString(await response.text(), "text/html");
  replace(document.querySelector(part), page.querySelector(part));
}

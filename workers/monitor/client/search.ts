/** Suggests customers while somebody types in the search field. Enter sends the form. */

const PAUSE_MS = 150;

export function startSearch(field: HTMLInputElement): void {
  let request = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const suggest = async () => {
    const prefix = field.value.trim();
    request.abort();
    request = new AbortController();
    if (prefix === "") return field.list?.replaceChildren();
    const response = await fetch(`/customers?${new URLSearchParams({ prefix })}`, request);
    if (!response.ok) return;
    const ids: readonly string[] = await response.json();
    field.list?.replaceChildren(
      ...ids.map((id) => Object.assign(document.createElement("option"), { value: id })),
    );
  };
  field.addEventListener("input", (event) => {
    clearTimeout(timer);
    // A suggestion was chosen: nothing is left to type.
    const isChosen = !(event instanceof InputEvent) || event.inputType === "insertReplacementText";
    if (isChosen && field.value !== "") return field.form?.requestSubmit();
    // Without suggestions, the field still works.
    timer = setTimeout(() => suggest().catch(() => {}), PAUSE_MS);
  });
}

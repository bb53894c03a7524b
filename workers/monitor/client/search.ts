/** Suggests customers while somebody types in the search field. Enter sends the form. */

const PAUSE_MS = 150;

export function startSearch(): void {
  const field = document.querySelector<HTMLInputElement>("input[data-customer-search]");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const suggest = async (typed: string) => {
    const response = await fetch(`/customers?${new URLSearchParams({ prefix: typed.trim() })}`);
    if (!response.ok || field?.value !== typed) return;
    const ids: readonly string[] = await response.json();
    field.list?.replaceChildren(...ids.map((id) => new Option(id, id)));
  };
  // A copied id often has blanks around it.
  field?.form?.addEventListener("submit", () => field.value = field.value.trim());
  field?.addEventListener("input", (event) => {
    clearTimeout(timer);
    const { value, form } = field;
    if (value.trim() === "") return;
    // A suggestion was chosen: nothing is left to type.
    const isChosen = !(event instanceof InputEvent) || event.inputType === "insertReplacementText";
    if (isChosen) return form?.requestSubmit();
    // Without suggestions, the field still works.
    timer = setTimeout(() => suggest(value).catch(() => {}), PAUSE_MS);
  });
}

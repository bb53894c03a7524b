/** Zooms and moves a range by wheel, fingers and keys. uPlot itself handles the drag with a mouse. */
import type { Range } from "../view/view.ts";
import { panRange, pinchRange, zoomRange } from "./range.ts";

interface View {
  readonly range: () => Range;
  readonly show: (range: Range) => void;
  readonly reset: () => void;
}

const KEYS: Readonly<Record<string, (range: Range) => Range>> = {
  "+": (range) => zoomRange(range, 0.5),
  "=": (range) => zoomRange(range, 0.5),
  "-": (range) => zoomRange(range, 2),
  ArrowLeft: (range) => panRange(range, -0.25),
  ArrowRight: (range) => panRange(range, 0.25),
};

export function bindKeys(root: HTMLElement, { range, show, reset }: View): void {
  root.addEventListener("keydown", (event) => {
    const change = KEYS[event.key];
    const isReset = ["Home", "0", "Escape"].includes(event.key);
    // A button inside has its own keys, and so has the browser.
    if (event.target !== root || event.ctrlKey || event.metaKey || event.altKey || !change && !isReset) {
      return;
    }
    event.preventDefault();
    if (change === undefined) reset();
    else show(change(range()));
  });
}

/** @param area the part of the chart inside the axes */
export function bindPointers(root: HTMLElement, area: HTMLElement, { range, show }: View): void {
  const placeOf = ({ clientX }: MouseEvent) => {
    const { left, width } = area.getBoundingClientRect();
    return (clientX - left) / width;
  };
  const instantAt = (place: number) => range().from + place * (range().to - range().from);
  area.addEventListener("wheel", (event) => {
    // Otherwise the wheel scrolls the page. A pinch on a touchpad is a wheel with Ctrl.
    if (!event.ctrlKey && document.activeElement !== root) return;
    event.preventDefault();
    show(zoomRange(range(), 2 ** Math.max(-1, Math.min(1, event.deltaY / 200)), instantAt(placeOf(event))));
  }, { passive: false });

  /** The fingers on the chart: their places, and the instants that they hold. */
  const fingers = new Map<number, { place: number; instant: number }>();
  const hold = (finger: { place: number; instant: number }) => finger.instant = instantAt(finger.place);
  area.addEventListener("pointerdown", (event) => {
    root.focus({ preventScroll: true });
    if (event.pointerType === "mouse" || fingers.size === 2) return;
    area.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { place: placeOf(event), instant: instantAt(placeOf(event)) });
    fingers.forEach(hold);
  });
  area.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (finger === undefined) return;
    finger.place = placeOf(event);
    const [one = finger, two] = [...fingers.values()].sort((a, b) => a.instant - b.instant);
    if (two !== undefined) return show(pinchRange([one.instant, two.instant], [one.place, two.place]));
    show(panRange(range(), (one.instant - range().from) / (range().to - range().from) - one.place));
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    area.addEventListener(end, ({ pointerId }) => {
      fingers.delete(pointerId);
      fingers.forEach(hold);
    });
  }
}

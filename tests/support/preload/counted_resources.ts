import process from "node:process";

// Preloaded into a worker: at each SIGUSR2 the process logs how many timers and abort listeners it has.
const listeners = new Map<WeakRef<EventTarget>, Set<unknown>>();
const known = new WeakMap<EventTarget, Set<unknown>>();

const { addEventListener, removeEventListener } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function (this: EventTarget, ...args) {
  if (args[0] === "abort" && args[1] !== null) {
    let set = known.get(this);
    if (set === undefined) {
      set = new Set();
      known.set(this, set);
      listeners.set(new WeakRef(this), set);
    }
    set.add(args[1]);
  }
  return addEventListener.apply(this, args);
};
EventTarget.prototype.removeEventListener = function (this: EventTarget, ...args) {
  if (args[0] === "abort") known.get(this)?.delete(args[1]);
  return removeEventListener.apply(this, args);
};

// A leak grows on a signal that lives as long as the process, so the largest count shows it.
function mostListeners(): number {
  let most = 0;
  for (const [target, set] of listeners) {
    if (target.deref() === undefined) listeners.delete(target);
    else most = Math.max(most, set.size);
  }
  return most;
}

Deno.addSignalListener("SIGUSR2", () => {
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const line = JSON.stringify({ event: "test.resources", timers, abortListeners: mostListeners() });
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
});

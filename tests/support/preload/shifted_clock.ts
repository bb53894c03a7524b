/**
 * Shifts the wall clock of a worker. Timers and `performance` are unaffected.
 *
 * @param controlFile contains the shift in milliseconds, read now and at each SIGUSR2
 */
export function shiftClock(controlFile: string): void {
  const RealDate = Date;
  let shiftMs = 0;
  const now = () => RealDate.now() + shiftMs;
  const read = () => {
    shiftMs = Number(Deno.readTextFileSync(controlFile));
    const line = JSON.stringify({ event: "test.clock", shiftMs });
    Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
  };
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made),
    apply: () => new RealDate(now()).toString(),
    get: (target, name) => name === "now" ? now : Reflect.get(target, name),
  });
  Deno.addSignalListener("SIGUSR2", read);
  read();
}

/**
 * Ends this program when the program that started it has ended. A SIGTERM ends npx, but npx does not pass it on, so
 * `deno task` and this program would continue.
 */
import { kill } from "node:process";
import { commandLine, parentOf } from "./process_table.ts";

const LOOK_EVERY_MS = 500;
/** Matches `deno task ...`, `npm exec deno@2.9.6 task ...` and `sh -c 'deno' task ...`. */
const LAUNCHER = /\bdeno(@[^\s']+)?'?(\.exe|\/bin\.cjs)?(\s+-\S+)*\s+task\s/;
const SHELL = /^\S*\b(sh|bash|dash|zsh|ksh|fish)\s/;

/** Checks the launchers regularly. When one has ended, it sends SIGTERM to this process once. */
export async function endWithLauncher(onEnd: () => void): Promise<void> {
  if (Deno.build.os === "windows") return;
  const launchers: { pid: number; command: string }[] = [];
  for (let pid = Deno.ppid; pid > 1;) {
    const command = await commandLine(pid).catch(() => undefined);
    if (command === undefined || !LAUNCHER.test(`${command} `)) break;
    launchers.push({ pid, command });
    pid = await parentOf(pid).catch(() => undefined) ?? 0;
  }
  // Shells at the top do not count, because they end with their script and may leave this program running on purpose.
  while (SHELL.test(launchers.at(-1)?.command ?? "")) launchers.pop();
  if (launchers.length === 0) return;
  const timer = setInterval(() => {
    if (launchers.every(({ pid }) => exists(pid))) return;
    clearInterval(timer);
    onEnd();
    Deno.kill(Deno.pid, "SIGTERM");
  }, LOOK_EVERY_MS);
  Deno.unrefTimer(timer);
}

function exists(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

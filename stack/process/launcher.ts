/**
 * Ends this program when the program that started it has ended. npx dies of a SIGTERM at once and tells only its shell:
 * `deno task` and what it runs would go on with nobody to end them.
 */
import { kill } from "node:process";
import { commandLine, parentOf } from "./process_table.ts";

const LOOK_EVERY_MS = 500;
/** `deno task ...`, `npm exec deno@2.9.6 task ...`, `sh -c 'deno' task ...`. */
const LAUNCHER = /\bdeno(@[^\s']+)?'?(\.exe|\/bin\.cjs)?(\s+-\S+)*\s+task\s/;
const SHELL = /^\S*\b(sh|bash|dash|zsh|ksh|fish)\s/;

/**
 * Looks from time to time and sends SIGTERM to this process, once.
 *
 * A shell at the top of the chain is not watched: it ends when its script does, whatever it left in the background.
 */
export async function endWithLauncher(onEnd: () => void): Promise<void> {
  if (Deno.build.os === "windows") return;
  const launchers: { pid: number; command: string }[] = [];
  for (let pid = Deno.ppid; pid > 1;) {
    const command = await commandLine(pid).catch(() => undefined);
    if (command === undefined || !LAUNCHER.test(`${command} `)) break;
    launchers.push({ pid, command });
    pid = await parentOf(pid).catch(() => undefined) ?? 0;
  }
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
    // It exists, and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

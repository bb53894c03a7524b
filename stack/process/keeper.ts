/** Ends the processes of a data folder when the process that runs them was killed and could not. */

/**
 * Waits for the end of its standard input, which is the end of the process that started it, however that came. Then it
 * asks each process whose id is still in the folder to end. A successor that has taken the data folder meanwhile has
 * written another id to the owner's file, and ends them itself.
 */
const KEEP = `cat > /dev/null
cd "$1" || exit
[ "$(cat owner.pid)" = "$2" ] || exit
rm -f addresses.env
for file in pids/*.pid; do
  [ -f "$file" ] || continue
  { read -r id; read -r arguments; read -r signal; } < "$file"
  kill -s "\${signal#SIG}" "$id"
done`;

/**
 * Starts the keeper: a shell in a session of its own, so that no signal of a terminal reaches it.
 *
 * @param home absolute path of a data folder that this process has taken
 * @returns ends the keeper; what still runs is left alone
 */
export function startKeeper(home: string): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  const keeper = new Deno.Command("sh", {
    args: ["-c", KEEP, "heartbeat-keeper", home, String(Deno.pid)],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  keeper.unref();
  return {
    [Symbol.dispose]: () => keeper.kill("SIGKILL"),
  };
}

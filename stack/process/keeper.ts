/**
 * Stops the processes of a data folder if the process that owns the folder was killed.
 *
 * The keeper is a shell whose standard input is a pipe from the owner. The pipe ends when the owner ends for any reason.
 * Then the keeper asks each process with a pid file to end. If a new owner has taken the folder meanwhile, `owner.pid`
 * has another content. Then the keeper does nothing, because the new owner ends these processes.
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
 * @param home absolute path of a data folder that this process owns
 * @returns a resource; disposing it ends the keeper, but not the processes
 */
export function startKeeper(home: string): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  const keeper = new Deno.Command("sh", {
    args: ["-c", KEEP, "heartbeat-keeper", home, String(Deno.pid)],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    // In a separate session, no signal from a terminal reaches the keeper.
    detached: true,
  }).spawn();
  keeper.unref();
  return {
    [Symbol.dispose]: () => keeper.kill("SIGKILL"),
  };
}

/** The topic's settings that decide whether a log may end without records. */
import { Admin, ConfigResourceTypes } from "@platformatic/kafka";
import { describeError } from "../errors.ts";
import type { KafkaConnection } from "./client.ts";

const CLEANUP_POLICY = "cleanup.policy";
const REMOTE_STORAGE = "remote.storage.enable";

/**
 * Asks a broker whether compaction is the only explanation for a log whose end is empty: the topic is compacted, and the
 * broker has all of its records on its own disks.
 *
 * @returns why not, which includes that the settings cannot be read; undefined when it is
 */
export async function whyNotCompaction(connection: KafkaConnection): Promise<string | undefined> {
  const admin = new Admin(connection.options);
  try {
    const [topic] = await admin.describeConfigs({
      resources: [{
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName: connection.topic,
        configurationKeys: [CLEANUP_POLICY, REMOTE_STORAGE],
      }],
    });
    const setting = (name: string) => topic?.configs.find((one) => one.name === name)?.value ?? "unknown";
    const policy = setting(CLEANUP_POLICY);
    if (!policy.split(",").some((one) => one.trim() === "compact")) {
      return `the topic is not compacted (${CLEANUP_POLICY} is ${policy})`;
    }
    const remote = setting(REMOTE_STORAGE);
    return remote === "false"
      ? undefined
      : `its records may be in tiered storage (${REMOTE_STORAGE} is ${remote})`;
  } catch (error) {
    return `the topic's settings cannot be read (${
      describeError(error)
    }; the right DescribeConfigs is needed)`;
  } finally {
    await admin.close().catch(() => {});
  }
}
